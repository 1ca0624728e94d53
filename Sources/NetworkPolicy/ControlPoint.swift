import HTTP
import HTTPCodec
import JSONCodec
import Logging
import Pacing
import Reactor
import Telemetry

/// The HTTP face of a role: its own endpoints, and those that all roles have (`/healthz`,
/// `/readyz`, `/metrics`, `/status`), with 404 and 405 for the rest.
final class ControlPoint {
    typealias Handler = (HTTPServerRequest, HTTPResponder) -> Void

    private struct Route {
        var allow: String
        var methods: [RequestMethod]
        var handler: Handler
    }

    private let server: HTTPServer
    private let logger: Logger
    private let table: Table

    /// What the server's handler holds: not this object, which holds the server.
    private final class Table {
        var routes: [String: Route] = [:]
        var fallback: Handler?
    }

    init(loop: EventLoop, logger: Logger, maxBodyBytes: Int64 = 64 << 10) {
        var configuration = HTTPServerConfiguration()
        configuration.limits.maximumBodyBytes = maxBodyBytes
        let table = Table()
        server = HTTPServer(loop: loop, configuration: configuration) { request, responder in
            guard let route = table.routes[request.path] else {
                if let fallback = table.fallback { return fallback(request, responder) }
                responder.respond(status: 404, literal: "not found\n")
                return
            }
            guard route.methods.contains(request.method) else {
                responder.respondMethodNotAllowed(allow: route.allow)
                return
            }
            route.handler(request, responder)
        }
        self.logger = logger
        self.table = table
    }

    /// Requests handled so far.
    var requestCount: UInt64 { server.requestCount }

    func get(_ path: String, _ handler: @escaping Handler) {
        route(path, allow: "GET, HEAD", [.get, .head], handler)
    }

    func post(_ path: String, _ handler: @escaping Handler) {
        route(path, allow: "POST", [.post], handler)
    }

    func getOrPost(_ path: String, _ handler: @escaping Handler) {
        route(path, allow: "GET, HEAD, POST", [.get, .head, .post], handler)
    }

    /// Whatever path has no endpoint of its own.
    func otherwise(_ handler: @escaping Handler) { table.fallback = handler }

    /// The endpoints that all roles have.
    ///
    /// - Parameters:
    ///   - status: writes the members of the status object.
    ///   - metrics: writes the role's own metric families.
    func common(
        role: String, status: @escaping (inout JSONWriter) -> Void,
        metrics: @escaping (inout PrometheusText) -> Void
    ) {
        get("/healthz") { $1.respond(status: 200, literal: "ok\n") }
        get("/readyz") { $1.respond(status: 200, literal: "ok\n") }
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
        get("/metrics") { [unowned server] _, responder in
            var text = PrometheusText()
            text.family("sonde_http_requests_total", .counter, help: "Requests to this role's API.")
            text.sample(server.requestCount, [("role", role)])
            metrics(&text)
            responder.respond(
                status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8",
                body: text.bytes)
        }
    }

    /// - Throws: ``UVError`` with the address that cannot be had.
    func listen(on address: SocketAddress) throws(UVError) {
        var bound: SocketAddress
        do throws(UVError) {
            bound = try server.listen(on: address)
        } catch {
            // A machine without IPv6: "every address" then means every IPv4 address.
            guard address.ipAddress == .anyV6, error.kind == .addressNotAvailable || error.isLocal,
                error.kind != .addressInUse
            else { throw error }
            bound = try server.listen(on: SocketAddress(.anyV4, port: address.port))
        }
        logger.info("Server started on \(bound)")
    }

    /// Where it listens; the port is the one the kernel chose when 0 was asked for.
    var address: SocketAddress? { server.addresses.first }

    func drain(grace: Duration, completion: @escaping () -> Void) {
        server.drain(grace: grace, completion: completion)
    }

    private func route(
        _ path: String, allow: String, _ methods: [RequestMethod], _ handler: @escaping Handler
    ) {
        table.routes[path] = Route(allow: allow, methods: methods, handler: handler)
    }
}
