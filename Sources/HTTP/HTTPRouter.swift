import HTTPCodec

/// Handlers by exact path and method; 404 and 405 (with Allow) for everything else.
///
///     var router = HTTPRouter()
///     router.on(.get, "/status") { request, responder in … }
///     router.on(.post, "/check", bodyLimit: 16 << 20) { request, responder in … }
///     let server = HTTPServer(loop: loop, router: router)
///
/// A handler for GET serves HEAD too: the server drops the content.
public struct HTTPRouter {
    private struct Resource {
        var handlers: [(method: RequestMethod, handler: HTTPServer.HeadHandler)] = []

        func handler(for method: RequestMethod) -> HTTPServer.HeadHandler? {
            for entry in handlers where entry.method == method { return entry.handler }
            return method == .head ? handler(for: .get) : nil
        }

        /// The value of Allow.
        var methods: String {
            var names = handlers.map(\.method.name)
            if names.contains("GET"), !names.contains("HEAD") { names.append("HEAD") }
            return names.joined(separator: ", ")
        }
    }

    private var resources: [String: Resource] = [:]
    private var fallback: HTTPServer.HeadHandler?

    /// A table without entries: everything is 404.
    public init() {}

    /// What answers on paths that have no entry, instead of 404.
    public mutating func otherwise(_ handler: @escaping HTTPServer.HeadHandler) {
        fallback = handler
    }

    /// Content up to `bodyLimit` bytes is collected first; more is answered with 413.
    public mutating func on(
        _ method: RequestMethod, _ path: String, bodyLimit: Int64 = 1 << 20,
        handler: @escaping HTTPServer.Handler
    ) {
        onHead(method, path) { _, _ in .collect(limit: bodyLimit, then: handler) }
    }

    /// The handler is called at the head and decides about the content itself.
    public mutating func onHead(
        _ method: RequestMethod, _ path: String, handler: @escaping HTTPServer.HeadHandler
    ) {
        precondition(path.hasPrefix("/"), "a path begins with a slash")
        precondition(method != .other && method != .connect, "routes are for known methods")
        resources[path, default: Resource()].handlers.append((method, handler))
    }

    /// Routes one request.
    public func handle(_ request: HTTPServerRequest, _ responder: HTTPResponder) -> HTTPBodyHandling
    {
        guard let resource = resources[request.path] else {
            if let fallback { return fallback(request, responder) }
            responder.respond(status: 404, literal: "not found\n")
            return .ignore
        }
        if let handler = resource.handler(for: request.method) {
            return handler(request, responder)
        }
        responder.respondMethodNotAllowed(allow: resource.methods)
        return .ignore
    }
}

extension RequestMethod {
    /// The method as it is sent; empty for `other`.
    public var name: String {
        switch self {
        case .get: "GET"
        case .head: "HEAD"
        case .post: "POST"
        case .put: "PUT"
        case .delete: "DELETE"
        case .connect: "CONNECT"
        case .options: "OPTIONS"
        case .trace: "TRACE"
        case .patch: "PATCH"
        case .other: ""
        }
    }
}
