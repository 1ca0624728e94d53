import HTTP
import HTTPCodec
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The HTTP face of a role: its own endpoints, and those that all roles have (`/healthz`,
/// `/readyz`, `/metrics`, `/status`), with 404 and 405 for the rest.
///
/// Endpoints are added first; ``listen(on:)`` then serves them.
public final class ControlPoint {
    private let loop: EventLoop
    private let logger: Logger
    private let maxBodyBytes: Int64
    private var server: HTTPServer?
    /// What a role adds beyond ``get(_:_:)`` and ``post(_:_:)``.
    public var router = HTTPRouter()

    /// - Parameter maxBodyBytes: content beyond it is answered with 413.
    public init(loop: EventLoop, logger: Logger, maxBodyBytes: Int64 = 64 << 10) {
        self.loop = loop
        self.logger = logger
        self.maxBodyBytes = maxBodyBytes
    }

    /// An endpoint for GET and HEAD.
    public func get(_ path: String, _ handler: @escaping HTTPServer.Handler) {
        router.on(.get, path, handler: handler)
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
            text.family("sonde_http_requests_total", .counter, help: "Requests to this role's API.")
            text.sample(server?.requestCount ?? 0, [("role", role)])
            metrics(&text)
            responder.respond(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                body: text.bytes)
        }
    }

    /// - Throws: ``UVError`` with the address that cannot be had.
    public func listen(on address: SocketAddress) throws(UVError) {
        var configuration = HTTPServerConfiguration()
        configuration.limits.maximumBodyBytes = maxBodyBytes
        let server = HTTPServer(loop: loop, configuration: configuration, router: router)
        self.server = server
        do throws(UVError) {
            let bound = try server.listenAnywhere(on: address)
            logger.info("Server started on \(bound)")
        } catch {
            server.close()
            throw error
        }
    }

    /// Where it listens; the port is the one the kernel chose when 0 was asked for.
    public var address: SocketAddress? { server?.addresses.first }

    /// Stops listening and lets requests under way finish; `completion` comes once, afterwards.
    public func drain(grace: Duration, completion: @escaping () -> Void) {
        guard let server else { return loop.enqueue(completion) }
        server.drain(grace: grace, completion: completion)
    }
}

@available(*, unavailable)
extension ControlPoint: Sendable {}
