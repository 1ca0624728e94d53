import HTTPCodec
import HTTPTypes
import Pacing
import Reactor

/// One request on its way, from ``HTTPClient/send(_:body:options:completion:)`` to its completion.
public final class HTTPClientCall {
    /// What is under way for it.
    enum Stage {
        case waiting
        case connecting(ClientConnector)
        case connected(ClientConnection)
        case done
    }

    let client: HTTPClient
    let origin: Origin
    let method: RequestMethod
    let head: [UInt8]
    let body: [UInt8]
    let closesConnection: Bool
    let maximumBodyBytes: Int64
    let timeout: Duration

    var stage = Stage.waiting
    var token: DeadlineToken?
    /// Its place among those that wait for a connection.
    var ticket: UInt64?
    /// Whether it has met a stale connection already: once is nobody's fault.
    var hasRetried = false
    var response: HTTPClientResponse?
    private(set) var collected: [UInt8] = []
    private var receivedBytes: Int64 = 0

    var onHead: ((ResponseView) -> Void)?
    var onSlice: ((UnsafeRawBufferPointer) -> Void)?
    private var completion: ((Result<HTTPClientResponse, HTTPError>) -> Void)?

    init(
        _ client: HTTPClient, _ request: ClientRequest, body: [UInt8],
        options: HTTPRequestOptions,
        completion: @escaping (Result<HTTPClientResponse, HTTPError>) -> Void
    ) {
        let configuration = client.configuration
        self.client = client
        origin = request.origin
        method = request.method
        head = request.head
        closesConnection = request.closesConnection
        self.body = body
        maximumBodyBytes = min(
            options.maximumBodyBytes ?? configuration.limits.maximumBodyBytes,
            configuration.limits.maximumBodyBytes)
        timeout = options.timeout ?? configuration.timeout
        self.completion = completion
    }

    /// Whether it is over: completed or cancelled.
    public var isDone: Bool {
        if case .done = stage { return true }
        return false
    }

    var isWaiting: Bool {
        if case .waiting = stage { return true }
        return false
    }

    /// Withdraws the request; its completion is dropped, its connection closed. Idempotent.
    public func cancel() {
        if isDone { return }
        completion = nil
        fail(HTTPError(.closed, fault: .local))
    }

    /// Leaves further content with the server until ``resume()``. The timeout goes on.
    public func pause() {
        if case .connected(let connection) = stage { connection.setPaused(true) }
    }

    /// Goes on after ``pause()``.
    public func resume() {
        if case .connected(let connection) = stage { connection.setPaused(false) }
    }

    // MARK: Events

    func receivedHead(_ view: ResponseView, reused: Bool) {
        response = HTTPClientResponse(view)
        response?.usedOpenConnection = reused
        // A length is only a claim, so not too much is staked on it.
        if onSlice == nil, case .contentLength(let length) = view.head.framing {
            collected.reserveCapacity(Int(min(length, 64 << 10)))
        }
        onHead?(view)
    }

    /// False when that was more than allowed.
    func receivedBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        receivedBytes += Int64(bytes.count)
        if receivedBytes > maximumBodyBytes { return false }
        if let onSlice { onSlice(bytes) } else { collected.append(contentsOf: bytes) }
        return true
    }

    func receivedTrailers(_ fields: FieldsView) { response?.trailers = HTTPFields(fields) }

    /// The response is complete. Its connection has let go of it already.
    func complete() {
        guard !isDone else { return }
        guard var response else {
            return fail(HTTPError(.connectionLost(nil), fault: .remote))
        }
        response.body = collected
        finish(.success(response))
    }

    func fail(_ error: HTTPError) {
        if isDone { return }
        switch stage {
        case .waiting, .done: break
        case .connecting(let connector):
            connector.cancel()
            client.connectionEnded(origin)
        case .connected(let connection): connection.drop()
        }
        finish(.failure(error))
    }

    private func finish(_ result: Result<HTTPClientResponse, HTTPError>) {
        stage = .done
        client.ended(self)
        onHead = nil
        onSlice = nil
        let completion = self.completion
        self.completion = nil
        completion?(result)
    }
}

@available(*, unavailable)
extension HTTPClientCall: Sendable {}

/// A request as it goes over the wire, checked before anything is opened for it.
struct ClientRequest {
    var origin: Origin
    var method: RequestMethod
    var head: [UInt8]
    var closesConnection: Bool

    init(
        _ request: HTTPRequest, bodyCount: Int, options: HTTPRequestOptions,
        configuration: HTTPClientConfiguration, dialers: [String: any HTTPDialer]
    ) throws(HTTPError) {
        func invalid(_ what: String) -> HTTPError {
            HTTPError(.invalidRequest(what), fault: .local)
        }
        let scheme = request.scheme?.lowercased() ?? "http"
        guard let dialer = dialers[scheme] else {
            let known = dialers.keys.sorted().joined(separator: " and ")
            throw invalid("the scheme is \(scheme), only \(known) is known here")
        }
        let source = options.sourceAddress ?? configuration.sourceAddress
        guard let authority = request.authority,
            let origin = Origin(
                scheme: scheme, authority: authority, defaultPort: dialer.defaultPort,
                source: source)
        else { throw invalid("no host in the authority \"\(request.authority ?? "")\"") }
        self.origin = origin
        method = RequestMethod(name: request.method.rawValue)
        if method == .connect { throw invalid("CONNECT is not supported") }
        let path = request.path ?? "/"
        guard path.hasPrefix("/") || (path == "*" && method == .options) else {
            throw invalid("the path \"\(path)\" does not begin with a slash")
        }
        closesConnection =
            options.closesConnection
            || request.headerFields[.connection]?.lowercased() == "close"
        let writer = HeadWriter()
        do throws(HTTPCodecError) {
            try writer.startRequest(method: request.method.rawValue, target: path)
            try writer.field("Host", options.host ?? authority)
            if let agent = configuration.userAgent, request.headerFields[.userAgent] == nil {
                try writer.field("User-Agent", agent)
            }
            try writer.fields(request.headerFields)
        } catch {
            throw invalid(error.description)
        }
        // A method that usually has content says when it has none (RFC 9110 §8.6).
        let hasLength = bodyCount > 0 || method == .post || method == .put || method == .patch
        if hasLength { writer.field(literal: "Content-Length", Int64(bodyCount)) }
        if closesConnection { writer.field(literal: "Connection", "close") }
        writer.endHead()
        head = writer.array
    }
}

extension RequestMethod {
    init(name: String) {
        let known: [RequestMethod] = [
            .get, .head, .post, .put, .delete, .connect, .options, .trace, .patch,
        ]
        self = known.first { $0.name == name } ?? .other
    }

    /// Whether doing it twice is as good as once (RFC 9110 §9.2.2).
    var isIdempotent: Bool {
        switch self {
        case .get, .head, .put, .delete, .options, .trace: true
        case .post, .connect, .patch, .other: false
        }
    }
}
