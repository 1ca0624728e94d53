import HTTP
import HTTPCodec
import HTTPTypes
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// Answers every request after a random delay with the name of its pod.
///
/// A request that waits is its responder in a heap under one timer; nothing else is kept of it.
public final class DelayingServer: Service {
    private let loop: EventLoop
    private let configuration: DelayingServerConfiguration
    private let logger: Logger
    private let control: ControlPoint
    private var server: HTTPServer?
    private var timer: Timer?
    /// Behind a pointer, because mutating a class's property in place is checked at run time.
    private let delays: UnsafeMutablePointer<DeadlineHeap<HTTPResponder>>
    private let random: UnsafeMutablePointer<SeededRandom>

    private let response: HTTPResponse
    private let body: [UInt8]

    /// Answers that were sent.
    public private(set) var answered = 0
    /// Requests that were not answered: their client was gone, or the grace was over.
    public private(set) var abandoned = 0

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on all that it serves by HTTP; nil for none.
    public init(
        loop: EventLoop, configuration: DelayingServerConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        control = ControlPoint(
            loop: loop, logger: logger, allowFrom: configuration.allowFrom, security: security)
        delays = .allocate(capacity: 1)
        delays.initialize(to: DeadlineHeap())
        random = .allocate(capacity: 1)
        random.initialize(to: SeededRandom(seed: configuration.seed))
        response = DelayingServer.response(configuration)
        body = Array("Response from Pod \(configuration.podID)\n".utf8)
        control.common(
            role: "longlived-server", status: { [unowned self] in writeStatus(to: &$0) },
            metrics: { [unowned self] in writeMetrics(to: &$0) })
    }

    deinit {
        delays.deinitialize(count: 1).deallocate()
        random.deinitialize(count: 1).deallocate()
    }

    /// Begins to listen.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func start() throws(UVError) {
        var settings = HTTPServerConfiguration()
        settings.idleTimeout = configuration.idleTimeout
        settings.maximumRequestsPerConnection = configuration.maximumRequests
        settings.maximumConnectionAge = configuration.maximumAge
        settings.maximumConnections = .max
        // The kernel holds as many as it allows, until a burst has been accepted.
        settings.backlog = 65535
        settings.reusesPort = configuration.reusesPort
        let server = HTTPServer.decidingAtHead(loop: loop, configuration: settings) {
            [unowned self] _, responder in
            hold(responder)
            return .ignore
        }
        self.server = server
        timer = Timer(loop: loop) { [unowned self] in answerDue() }
        do throws(UVError) {
            let place = try control.open(server, on: configuration.listen)
            if let address = configuration.metricsListen { try control.listen(on: address) }
            logger.info("Pod \(configuration.podID) listens \(place)")
        } catch {
            closeAll()
            throw error
        }
    }

    /// Stops accepting, answers what waits when its time has come, and calls `completion`; what
    /// still waits after `grace` is reset.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        guard let server else { return loop.enqueue(completion) }
        logger.info("Ending: \(waiting) requests wait for their answers")
        server.drain(grace: grace) { [self] in
            // What was reset counts as abandoned, not as answered.
            closeAll()
            control.drain(grace: .zero, completion: completion)
        }
    }

    private func closeAll() {
        timer?.close()
        timer = nil
        abandoned += waiting
        delays.pointee = DeadlineHeap()
        server?.close()
    }

    /// Where it listens; the port is the one the kernel chose when 0 was asked for.
    public var address: SocketAddress? { server?.addresses.first }
    /// Where `/metrics` and `/status` are served.
    public var metricsAddress: SocketAddress? { control.address }
    /// Requests that wait for their answers.
    public var waiting: Int { delays.pointee.count }
    /// Connections that are open.
    public var connections: Int { server?.connectionCount ?? 0 }
    /// Requests so far.
    public var requests: UInt64 { server?.requestCount ?? 0 }

    // MARK: - Answering

    private static func response(_ configuration: DelayingServerConfiguration) -> HTTPResponse {
        var response = HTTPResponse(status: .ok)
        response.headerFields[.contentType] = "text/plain; charset=utf-8"
        if let name = HTTPField.Name("Pod-Id") {
            response.headerFields[name] = configuration.podID
        }
        if configuration.connectionUse == .close { response.headerFields[.connection] = "close" }
        return response
    }

    private func hold(_ responder: HTTPResponder) {
        if configuration.delay.upperBound == .zero { return answer(responder) }
        let moment = loop.now + random.pointee.duration(in: configuration.delay)
        let token = delays.pointee.start(responder, at: moment)
        responder.whenPeerEnds { [unowned self] end in
            guard end == .gone, delays.pointee.cancel(token) != nil else { return }
            abandoned += 1
        }
        if delays.pointee.nextDeadline == moment { timer?.schedule(at: moment) }
    }

    private func answerDue() {
        let now = loop.now
        while let responder = delays.pointee.popExpired(now: now) { answer(responder) }
        if let next = delays.pointee.nextDeadline { timer?.schedule(at: next) }
    }

    private func answer(_ responder: HTTPResponder) {
        if responder.respond(response, body: body) { answered += 1 } else { abandoned += 1 }
    }

    // MARK: - Report

    /// The counts in one line.
    public var summary: String {
        "longlived server \(configuration.podID): \(requests) requests, \(answered) answered, "
            + "\(abandoned) abandoned"
    }

    private func writeStatus(to writer: inout JSONWriter) {
        writer.member("podid", string: configuration.podID)
        writer.member("requests", integer: requests)
        writer.member("answered", integer: answered)
        writer.member("abandoned", integer: abandoned)
        writer.member("waiting", integer: waiting)
        writer.member("connections", integer: connections)
    }

    private func writeMetrics(to text: inout PrometheusText) {
        text.family("sonde_longlived_requests_total", .counter, help: "Requests received.")
        text.sample(requests)
        text.family("sonde_longlived_answered_total", .counter, help: "Requests answered.")
        text.sample(answered)
        text.family(
            "sonde_longlived_abandoned_total", .counter,
            help: "Requests whose client was gone before their answer, or the grace over.")
        text.sample(abandoned)
        text.family(
            "sonde_longlived_waiting_requests", .gauge,
            help: "Requests that wait for their answers.")
        text.sample(waiting)
        text.family("sonde_longlived_open_connections", .gauge, help: "Connections open now.")
        text.sample(connections)
    }
}

@available(*, unavailable)
extension DelayingServer: Sendable {}
