import HTTPCodec
import HTTPTypes
import Pacing
import Reactor

/// An HTTP/1.1 client on an ``EventLoop``, with connections kept and reused per origin.
///
///     let client = HTTPClient(loop: loop)
///     let request = HTTPRequest(
///         method: .get, scheme: "http", authority: "127.0.0.1:8080", path: "/")
///     client.send(request) { result in … }
///
/// Completions are called once, never before the call that asks for them has returned, and are
/// dropped by ``HTTPClientCall/cancel()``. Open until ``close()``: idle connections keep it.
public final class HTTPClient {
    /// The loop on which everything happens.
    public let loop: EventLoop
    /// What applies where a request does not say otherwise.
    public let configuration: HTTPClientConfiguration

    let context: HTTPCodecContext
    /// Idle connections, the one used last at the end.
    private var idleConnections: [Origin: [ClientConnection]] = [:]
    /// Requests that wait for a connection.
    private var waiting: [HTTPClientCall] = []
    /// Every request that is not done.
    private var calls: [ObjectIdentifier: HTTPClientCall] = [:]
    private let idleDeadlines: Deadlines<ClientConnection>
    private var callDeadlines: [Duration: Deadlines<HTTPClientCall>] = [:]
    private var isClosed = false

    /// Connections that are open or being opened.
    public private(set) var connectionCount = 0

    /// A client without connections.
    public init(
        loop: EventLoop, configuration: HTTPClientConfiguration = HTTPClientConfiguration()
    ) {
        self.loop = loop
        self.configuration = configuration
        context = HTTPCodecContext(limits: configuration.limits)
        idleDeadlines = Deadlines(loop: loop, timeout: configuration.idleTimeout) { $0.close() }
    }

    /// How many open connections are idle.
    public var idleConnectionCount: Int { idleConnections.values.reduce(0) { $0 + $1.count } }

    // MARK: Requests

    /// Sends a request and collects the response.
    ///
    /// - Parameters:
    ///   - request: scheme `http` (or none), authority `host[:port]` or `[v6][:port]`, and a path.
    ///   - body: sent with Content-Length.
    ///   - completion: gets the response whatever its status, or why there is none.
    @discardableResult
    public func send(
        _ request: HTTPRequest, body: [UInt8] = [],
        options: HTTPRequestOptions = HTTPRequestOptions(),
        completion: @escaping (Result<HTTPClientResponse, HTTPError>) -> Void
    ) -> HTTPClientCall? {
        start(request, body, options, onHead: nil, onSlice: nil, completion)
    }

    /// Sends a request and hands out the content of the response as it arrives.
    ///
    /// - Parameters:
    ///   - onHead: called once with the head, borrowed for the length of the call.
    ///   - onSlice: called for each piece of content, borrowed for the length of the call.
    ///   - completion: gets the response without content, or why it is not complete.
    @discardableResult
    public func stream(
        _ request: HTTPRequest, body: [UInt8] = [],
        options: HTTPRequestOptions = HTTPRequestOptions(),
        onHead: @escaping (ResponseView) -> Void = { _ in },
        onSlice: @escaping (UnsafeRawBufferPointer) -> Void,
        completion: @escaping (Result<HTTPClientResponse, HTTPError>) -> Void
    ) -> HTTPClientCall? {
        start(request, body, options, onHead: onHead, onSlice: onSlice, completion)
    }

    private func start(
        _ request: HTTPRequest, _ body: [UInt8], _ options: HTTPRequestOptions,
        onHead: ((ResponseView) -> Void)?, onSlice: ((UnsafeRawBufferPointer) -> Void)?,
        _ completion: @escaping (Result<HTTPClientResponse, HTTPError>) -> Void
    ) -> HTTPClientCall? {
        do throws(HTTPError) {
            if isClosed { throw HTTPError(.closed, fault: .local) }
            let checked = try ClientRequest(
                request, bodyCount: body.count, options: options, configuration: configuration)
            let call = HTTPClientCall(
                self, checked, body: body, options: options, completion: completion)
            call.onHead = onHead
            call.onSlice = onSlice
            calls[ObjectIdentifier(call)] = call
            call.token = deadlines(call.timeout).start(call)
            dispatch(call)
            return call
        } catch {
            loop.enqueue { completion(.failure(error)) }
            return nil
        }
    }

    /// Finds a connection for `call`: an idle one, a new one, or a place in the queue.
    func dispatch(_ call: HTTPClientCall) {
        if let connection = takeIdle(for: call.origin) {
            connection.start(call)
        } else if connectionCount < configuration.maximumConnections {
            open(call)
        } else if let unused = idleConnections.values.lazy.compactMap(\.first).first {
            waiting.append(call)
            unused.close()  // makes room, which is given to whoever waits
        } else {
            waiting.append(call)
        }
    }

    private func open(_ call: HTTPClientCall) {
        connectionCount += 1
        let connection = ClientConnection(client: self, origin: call.origin)
        if let address = IPAddress(call.origin.host) {
            let target = SocketAddress(address, port: call.origin.port)
            return connection.connect(to: [target], for: call)
        }
        let query = Resolver.resolve(
            call.origin.host, port: call.origin.port, loop: loop
        ) { [self] result in
            switch result {
            case .success(let addresses): connection.connect(to: addresses[...], for: call)
            case .failure(let error):
                call.stage = .waiting
                connectionEnded()
                call.fail(HTTPError.connect(error))
            }
        }
        call.stage = .resolving(query)
    }

    // MARK: Connections

    /// A connection has become idle: for whoever waits, or for the pool.
    func idle(_ connection: ClientConnection) {
        if isClosed { return connection.close() }
        if let index = waiting.firstIndex(where: { $0.origin == connection.origin }) {
            return connection.start(waiting.remove(at: index))
        }
        // Others wait for other origins: their turn.
        if !waiting.isEmpty { return connection.close() }
        var pool = idleConnections[connection.origin] ?? []
        guard pool.count < configuration.maximumIdlePerOrigin else { return connection.close() }
        pool.append(connection)
        idleConnections[connection.origin] = pool
        connection.token = idleDeadlines.start(connection)
    }

    private func takeIdle(for origin: Origin) -> ClientConnection? {
        guard let connection = idleConnections[origin]?.popLast() else { return nil }
        if idleConnections[origin]?.isEmpty == true { idleConnections[origin] = nil }
        if let token = connection.token { idleDeadlines.cancel(token) }
        connection.token = nil
        return connection
    }

    /// A connection is closing: it is in no pool any more.
    func forget(_ connection: ClientConnection) {
        guard let token = connection.token else { return }
        idleDeadlines.cancel(token)
        connection.token = nil
        idleConnections[connection.origin]?.removeAll { $0 === connection }
        if idleConnections[connection.origin]?.isEmpty == true {
            idleConnections[connection.origin] = nil
        }
    }

    /// There is room for another connection.
    func connectionEnded() {
        connectionCount -= 1
        guard !isClosed, !waiting.isEmpty, connectionCount < configuration.maximumConnections
        else { return }
        open(waiting.removeFirst())
    }

    // MARK: Ending

    func ended(_ call: HTTPClientCall) {
        calls[ObjectIdentifier(call)] = nil
        if let token = call.token { deadlines(call.timeout).cancel(token) }
        call.token = nil
        waiting.removeAll { $0 === call }
    }

    /// One class for each duration in use; programs have few.
    private func deadlines(_ timeout: Duration) -> Deadlines<HTTPClientCall> {
        if let known = callDeadlines[timeout] { return known }
        let new = Deadlines<HTTPClientCall>(loop: loop, timeout: timeout) { call in
            call.token = nil
            // Waiting for a connection of one's own is nobody else's doing.
            call.fail(HTTPError(.timedOut, fault: call.isWaiting ? .local : .remote))
        }
        callDeadlines[timeout] = new
        return new
    }

    /// Fails what is under way (`closed`), and closes every connection. Idempotent.
    public func close() {
        if isClosed { return }
        isClosed = true
        for call in calls.values { call.fail(HTTPError(.closed, fault: .local)) }
        for connection in idleConnections.values.flatMap({ $0 }) { connection.close() }
        idleConnections = [:]
        idleDeadlines.close()
        for deadlines in callDeadlines.values { deadlines.close() }
        callDeadlines = [:]
    }
}

@available(*, unavailable)
extension HTTPClient: Sendable {}
