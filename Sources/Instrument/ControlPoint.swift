import HTTP
import HTTPCodec
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The HTTP face of a role: its own endpoints, and those that all roles have (`/healthz`,
/// `/readyz`, `/metrics`, `/status`), with 404 and 405 for the rest, and 403 for sources that may
/// not use it.
///
/// Endpoints are added first; ``listen(on:)`` then serves them.
public final class ControlPoint {
    private let loop: EventLoop
    private let logger: Logger
    private let maxBodyBytes: Int64
    private let maxBodyMemory: Int64
    private let access: AccessRule
    private let security: ServerSecurity?
    private var server: HTTPServer?
    private var meter: LoopMeter?
    /// When the process was started, by the wall clock, in seconds; read once, as clocks are set.
    private let processStart: Double
    /// Requests from sources that may not use the API.
    public private(set) var rejected = 0
    /// What a role adds beyond ``get(_:_:)`` and ``post(_:_:)``.
    public var router = HTTPRouter()

    /// - Parameters:
    ///   - allowFrom: the sources that may use the API. Whoever asks for `/healthz`
    ///     or `/readyz` is answered in any case: a kubelet probes from its node's address.
    ///   - maxBodyBytes: content beyond it is answered with 413.
    ///   - maxBodyMemory: for content that is being received, of all connections together; what
    ///     finds no room is answered with 503, what never does with 413.
    ///   - security: TLS on all that the role serves; nil for none.
    public init(
        loop: EventLoop, logger: Logger, allowFrom: AccessRule = AccessRule(),
        maxBodyBytes: Int64 = 64 << 10, maxBodyMemory: Int64 = 64 << 20,
        security: ServerSecurity? = nil
    ) {
        self.security = security
        self.loop = loop
        self.logger = logger
        self.maxBodyBytes = min(maxBodyBytes, maxBodyMemory)
        self.maxBodyMemory = maxBodyMemory
        access = allowFrom
        let age = loop.now - ProcessStart.measure().moment
        processStart = Double(EventLoop.wallClockNanoseconds) / 1e9 - age.inSeconds
    }

    /// An endpoint for GET and HEAD, which have no use for content: little of it is taken.
    public func get(_ path: String, _ handler: @escaping HTTPServer.Handler) {
        router.on(.get, path, bodyLimit: min(maxBodyBytes, 64 << 10), handler: handler)
    }

    /// An endpoint for POST; the handler gets all of the content.
    public func post(_ path: String, _ handler: @escaping HTTPServer.Handler) {
        router.on(.post, path, bodyLimit: maxBodyBytes, handler: handler)
    }

    /// The endpoints that all roles have.
    ///
    /// - Parameters:
    ///   - isReady: asked for every `/readyz`: 200 when true, else 500 without content.
    ///   - status: writes the members of the status object.
    ///   - metrics: writes the role's own metric families.
    public func common(
        role: String, isReady: (() -> Bool)? = nil,
        status: @escaping (inout JSONWriter) -> Void,
        metrics: @escaping (inout PrometheusText) -> Void
    ) {
        get("/healthz") { $1.respond(status: 200, literal: "ok\n") }
        get("/readyz") { _, responder in
            guard let isReady else { return _ = responder.respond(status: 200, literal: "ok\n") }
            responder.respond(status: isReady() ? 200 : 500)
        }
        get("/status") { _, responder in
            var writer = JSONWriter()
            writer.beginObject()
            writer.member("role", string: role)
            status(&writer)
            writer.endObject()
            responder.respond(
                status: 200, contentType: "application/json",
                body: writer.bytes + [UInt8(ascii: "\n")])
        }
        get("/metrics") { [unowned self] _, responder in
            var text = PrometheusText()
            writeCommonMetrics(role: role, to: &text)
            metrics(&text)
            responder.respond(
                status: 200, contentType: PrometheusText.contentType, body: text.bytes)
        }
    }

    private func writeCommonMetrics(role: String, to text: inout PrometheusText) {
        CommonMetrics.writeBuild(role: role, to: &text)
        text.family(
            "sonde_http_requests_total", .counter,
            help: "Requests to this role's API, rejected ones included.")
        text.sample(server?.requestCount ?? 0, [("role", role)])
        text.family(
            "sonde_control_rejected_total", .counter,
            help: "Requests to this role's API from sources that --allow-from does not name.")
        text.sample(rejected, [("role", role)])
        CommonMetrics.write(.read(), start: processStart, to: &text)
        security?.writeMetrics(role: role, to: &text)
        if let meter { CommonMetrics.write(meter, to: &text) }
    }

    /// - Throws: ``UVError`` with the address that cannot be had.
    public func listen(on address: SocketAddress) throws(UVError) {
        var configuration = HTTPServerConfiguration()
        // The limit is each endpoint's, and comes after the look at who asks: a source that may not
        // use the API is told so, and not how much it may send.
        configuration.limits.maximumBodyBytes = .max
        configuration.maximumBodyMemory = maxBodyMemory
        configuration.onContentRefused = { [logger, maxBodyBytes] status, peer in
            let source = peer.map { "\($0)" } ?? "a source that has gone"
            let reason = status == 413 ? ": more than \(maxBodyBytes) bytes are not taken" : ""
            logger.error("Refused content from \(source) with \(status)\(reason)")
        }
        let server = makeServer(configuration)
        self.server = server
        do throws(UVError) {
            let place = try open(server, on: address)
            logger.info("Server started \(place)")
        } catch {
            server.close()
            throw error
        }
        meter = loop.meter()
    }

    /// Has a server of the role listen, as the API does: with TLS where there is a certificate.
    ///
    /// - Returns: the address in use, for a log: `on 127.0.0.1:80`, `with TLS on 127.0.0.1:443`.
    /// - Throws: ``UVError`` with the address that cannot be had.
    public func open(_ server: HTTPServer, on address: SocketAddress) throws(UVError) -> String {
        guard let security else { return "on \(try server.listenAnywhere(on: address))" }
        let bound = try HTTPServer.anywhere(address) { address throws(UVError) in
            try security.listen(server, on: address)
        }
        return "with TLS on \(bound)"
    }

    private func makeServer(_ configuration: HTTPServerConfiguration) -> HTTPServer {
        guard access.isRestricted else {
            return HTTPServer(loop: loop, configuration: configuration, router: router)
        }
        return .decidingAtHead(loop: loop, configuration: configuration) {
            [unowned self, router] request, responder in
            let source = request.peerAddress?.ipAddress
            guard access.admits(source, to: request.path) else {
                reject(request, source, responder)
                return .ignore
            }
            return router.handle(request, responder)
        }
    }

    private func reject(
        _ request: HTTPServerRequest, _ source: IPAddress?, _ responder: HTTPResponder
    ) {
        rejected += 1
        let name = source.map { "\($0)" } ?? "a source that has gone"
        responder.respond(status: 403, body: "\(name) may not use this API\n")
        guard logger.logLevel <= .debug || LogLineLimit.isPrinted(occurrence: rejected) else {
            return
        }
        logger.warning(
            """
            Rejected \(request.methodString) \(request.path) from \(name), which --allow-from does \
            not name (\(rejected) so far)
            """)
    }

    /// Where it listens; the port is the one the kernel chose when 0 was asked for.
    public var address: SocketAddress? { server?.addresses.first }

    /// Stops listening and lets requests under way finish; `completion` comes once, afterwards.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        let close = { [security] in
            security?.close()
            completion()
        }
        guard let server else { return loop.enqueue(close) }
        server.drain(grace: grace, completion: close)
    }
}

@available(*, unavailable)
extension ControlPoint: Sendable {}
