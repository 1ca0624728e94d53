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
    private var waiting = WaitingLine<Origin, HTTPClientCall>()
    /// Every request that is not done.
    private var calls: [ObjectIdentifier: HTTPClientCall] = [:]
    private let idleDeadlines: DeadlineClass<ClientConnection>
    private var callDeadlines = DeadlineHeap<HTTPClientCall>()
    private var callTimer: Timer?
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
        idleDeadlines = DeadlineClass(loop: loop, timeout: configuration.idleTimeout) { $0.close() }
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
            if call.timeout <= .zero { throw HTTPError(.timedOut, fault: .local) }
            calls[ObjectIdentifier(call)] = call
            call.token = callDeadlines.start(call, at: loop.now + call.timeout)
            armCallTimer()
            dispatch(call)
            return call
        } catch {
            loop.enqueue { completion(.failure(error)) }
            return nil
        }
    }

    /// Finds a connection for `call`: an idle one, a new one, or a place in the queue.
    func dispatch(_ call: HTTPClientCall) {
        call.stage = .waiting
        if let connection = takeIdle(for: call.origin) {
            connection.start(call)
        } else if connectionCount < configuration.maximumConnections {
            open(call)
        } else {
            call.ticket = waiting.append(call, call.origin)
            // Makes room, which is given to whoever waits.
            idleConnections.values.first?.first?.close()
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
            case .success(let addresses):
                let reachable = ClientConnection.reachable(addresses, from: call.origin.source)
                connection.connect(to: reachable, for: call)
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
        if let call = waiting.popFirst(of: connection.origin) { return connection.start(call) }
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
        guard !isClosed, connectionCount < configuration.maximumConnections,
            let call = waiting.popFirst()
        else { return }
        open(call)
    }

    // MARK: Ending

    func ended(_ call: HTTPClientCall) {
        calls[ObjectIdentifier(call)] = nil
        if let token = call.token { _ = callDeadlines.cancel(token) }
        call.token = nil
        if let ticket = call.ticket { waiting.remove(ticket) }
        // A timer without deadlines must not keep the loop running.
        if callDeadlines.isEmpty { callTimer?.cancel() }
    }

    /// The timer stays where it is when a deadline is withdrawn: it finds nothing due, and goes on.
    private func armCallTimer() {
        guard let deadline = callDeadlines.nextDeadline else { return }
        let timer = callTimer ?? Timer(loop: loop) { [self] in callsExpire() }
        callTimer = timer  // `close` breaks the cycle
        if let earlier = timer.deadline, earlier <= deadline { return }
        timer.schedule(at: deadline)
    }

    private func callsExpire() {
        // Not those that have passed since: what came before them may still lie in the kernel.
        let heardUntil = loop.heardUntil
        while let call = callDeadlines.popExpired(now: heardUntil) {
            call.token = nil
            // Waiting for a connection of one's own is nobody else's doing.
            call.fail(HTTPError(.timedOut, fault: call.isWaiting ? .local : .remote))
        }
        armCallTimer()
    }

    /// Fails what is under way (`closed`), and closes every connection. Idempotent.
    public func close() {
        if isClosed { return }
        isClosed = true
        for call in calls.values { call.fail(HTTPError(.closed, fault: .local)) }
        for connection in idleConnections.values.flatMap({ $0 }) { connection.close() }
        idleConnections = [:]
        idleDeadlines.close()
        callTimer?.close()
        callTimer = nil
    }
}

@available(*, unavailable)
extension HTTPClient: Sendable {}
