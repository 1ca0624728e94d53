import HTTP
import HTTPCodec
import Instrument
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// What a backend answers, and how.
public struct BackendConfiguration: Sendable {
    /// The instance's name: the value of `Backend-Id`.
    public var identifier: String
    /// Where it listens.
    public var listen: SocketAddress
    /// After this many requests it closes a connection; nil for never.
    public var closeAfter: Int?
    /// Between a request and its answer.
    public var delay = Duration.zero
    /// Where `/metrics` and `/status` are served; nil for nowhere.
    public var metricsListen: SocketAddress?
    /// Sources that may use what is served there; none given: everyone.
    public var allowFrom = AccessRule()

    /// Everything else at its default.
    public init(identifier: String, listen: SocketAddress) {
        self.identifier = identifier
        self.listen = listen
    }

    /// Whether the name can be a field's value, and is short enough to be recorded whole.
    public var isValid: Bool {
        HeadWriter.isValue(identifier) && !identifier.isEmpty
            && identifier.utf8.count <= RowFormat.longestName
    }
}

/// A backend that says who it is and over which connection the proxy came: 200 to every GET, with
/// `Backend-Id` and `Source-Port`. It keeps connections open and never closes first.
public final class BackendService: Service {
    private let loop: EventLoop
    private let configuration: BackendConfiguration
    private let logger: Logger
    private let control: ControlPoint
    private var server: HTTPServer?
    private let body: [UInt8]
    private var delays: DeadlineClass<HTTPResponder>?

    /// GETs that were answered.
    public private(set) var answered = 0

    /// - Parameters:
    ///   - loop: the service lives on it until ``drain(grace:completion:)`` has completed.
    ///   - security: TLS on all that it serves by HTTP; nil for none.
    public init(
        loop: EventLoop, configuration: BackendConfiguration, logger: Logger,
        security: ServerSecurity? = nil
    ) {
        self.loop = loop
        self.configuration = configuration
        self.logger = logger
        body = Array("\(configuration.identifier)\n".utf8)
        control = ControlPoint(
            loop: loop, logger: logger, allowFrom: configuration.allowFrom, security: security)
        control.common(
            role: "reload-backend", status: { [unowned self] in writeStatus(to: &$0) },
            metrics: { [unowned self] in writeMetrics(to: &$0) })
    }

    /// Begins to listen.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func start() throws(UVError) {
        // Half a year: whoever may close a connection here is the proxy, not the backend.
        let forever = Duration.seconds(15_000_000)
        var settings = HTTPServerConfiguration()
        settings.headTimeout = forever
        settings.idleTimeout = forever
        settings.maximumRequestsPerConnection = configuration.closeAfter
        if configuration.delay > .zero {
            delays = DeadlineClass(loop: loop, timeout: configuration.delay) { [unowned self] in
                answer($0)
            }
        }
        // Content is not waited for: whoever sends it gets its answer at the head.
        let server = HTTPServer.decidingAtHead(loop: loop, configuration: settings) {
            [unowned self] in
            handle($0, $1)
            return .ignore
        }
        self.server = server
        do throws(UVError) {
            let place = try control.open(server, on: configuration.listen)
            if let address = configuration.metricsListen { try control.listen(on: address) }
            logger.info("Backend \(configuration.identifier) listens \(place)")
        } catch {
            close()
            throw error
        }
    }

    /// Takes nothing new, answers what is under way, and calls `completion`.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        guard let server else { return loop.enqueue(completion) }
        server.drain(grace: grace) { [self] in
            close()
            control.drain(grace: .zero) { [self] in
                _ = self  // the endpoints' closures do not own it
                completion()
            }
        }
    }

    /// Where it listens.
    public var address: SocketAddress? { server?.addresses.first }

    /// Where `/metrics` and `/status` are served.
    public var metricsAddress: SocketAddress? { control.address }

    /// The count in one line.
    public var summary: String {
        "reload backend \(configuration.identifier): \(answered) requests answered"
    }

    private func close() {
        delays?.close()
        delays = nil
        server?.close()
        server = nil
    }

    private func handle(_ request: HTTPServerRequest, _ responder: HTTPResponder) {
        guard request.method == .get || request.method == .head else {
            responder.respondMethodNotAllowed(allow: "GET, HEAD")
            return
        }
        if let delays { _ = delays.start(responder) } else { answer(responder) }
    }

    private func answer(_ responder: HTTPResponder) {
        let port = Int64(responder.peerAddress?.port ?? 0)
        let isSent = body.withUnsafeBytes { body in
            responder.respond(status: 200, body: body) {
                (writer: HeadWriter) throws(HTTPCodecError) in
                try writer.field("Backend-Id", configuration.identifier)
                writer.field(literal: "Source-Port", port)
            }
        }
        if isSent { answered += 1 }
    }

    // MARK: - Report

    private func writeStatus(to writer: inout JSONWriter) {
        writer.member("id", string: configuration.identifier)
        writer.member("requests", integer: server?.requestCount ?? 0)
        writer.member("answered", integer: answered)
        writer.member("connections", integer: server?.connectionCount ?? 0)
    }

    private func writeMetrics(to text: inout PrometheusText) {
        text.family("sonde_reload_backend_requests_total", .counter, help: "Requests received.")
        text.sample(server?.requestCount ?? 0)
        text.family("sonde_reload_backend_answered_total", .counter, help: "GETs answered.")
        text.sample(answered)
        text.family("sonde_reload_backend_open_connections", .gauge, help: "Connections open now.")
        text.sample(server?.connectionCount ?? 0)
    }
}

@available(*, unavailable)
extension BackendService: Sendable {}
