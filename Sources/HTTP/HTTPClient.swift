import HTTPCodec
import HTTPTypes
import Pacing
import Reactor

/// An HTTP/1.1 client on an `EventLoop`, with connections kept and reused per origin.
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
    private typealias Pool = ClientPoolMachine<Origin, ClientConnection, HTTPClientCall>
    private var pool: Pool
    private var poolTimer: Timer?
    /// Empty: memory for the actions of the next step.
    private var spareActions: [Pool.Action] = []
    private let dialers: [String: any HTTPDialer]
    /// Looks a name up, and returns what withdraws that; tests put another in its place.
    var resolve = HTTPClient.lookUp
    /// Every request that is not done.
    private var calls: [ObjectIdentifier: HTTPClientCall] = [:]
    private var callDeadlines = DeadlineHeap<HTTPClientCall>()
    private var callTimer: Timer?
    private var isClosed = false

    /// A client without connections.
    /// - Parameter dialers: how other schemes than `http` are spoken, by their names.
    public init(
        loop: EventLoop, configuration: HTTPClientConfiguration = HTTPClientConfiguration(),
        dialers: [String: any HTTPDialer] = [:]
    ) {
        self.loop = loop
        self.configuration = configuration
        self.dialers = dialers.merging(["http": TCPDialer()]) { given, _ in given }
        context = HTTPCodecContext(limits: configuration.limits)
        pool = Pool(
            limits: .init(
                connections: configuration.maximumConnections,
                connectionsPerOrigin: configuration.maximumConnectionsPerOrigin,
                idlePerOrigin: configuration.maximumIdlePerOrigin,
                idleTime: configuration.idleTimeout))
    }

    /// Connections that are open or being opened.
    public var connectionCount: Int { pool.connectionCount }
    /// How many open connections are idle.
    public var idleConnectionCount: Int { pool.idleCount }

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
                request, bodyCount: body.count, options: options, configuration: configuration,
                dialers: dialers)
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
        step { pool, _, actions in call.ticket = pool.request(call, to: call.origin, &actions) }
    }

    // MARK: Connections

    private func step(_ event: (inout Pool, Instant, inout [Pool.Action]) -> Void) {
        // Taken out for the length of the step, which may lead to others.
        var actions: [Pool.Action] = []
        swap(&actions, &spareActions)
        event(&pool, loop.now, &actions)
        for index in actions.indices {
            switch actions[index] {
            case .use(let connection, let call):
                connection.token = nil
                connection.start(call)
            case .open(let call): open(call)
            case .close(let connection):
                connection.token = nil
                connection.close()
            }
        }
        actions.removeAll(keepingCapacity: true)
        spareActions = actions
        armPoolTimer()
    }

    /// The timer stays where it is when a deadline is withdrawn: it finds nothing due, and goes on.
    private func armPoolTimer() {
        guard let deadline = pool.nextDeadline, !isClosed else {
            poolTimer?.cancel()
            return
        }
        let timer =
            poolTimer
            ?? Timer(loop: loop) { [self] in
                // Not those that have passed since: what came before may still lie in the kernel.
                let heardUntil = loop.heardUntil
                step { pool, _, actions in pool.tick(now: heardUntil, &actions) }
            }
        poolTimer = timer  // `close` breaks the cycle
        if let earlier = timer.deadline, earlier <= deadline { return }
        timer.schedule(at: deadline)
    }

    private func open(_ call: HTTPClientCall) {
        guard let dialer = dialers[call.origin.scheme] else { return }
        let connector = ClientConnector(self, call.origin, dialer: dialer) { [self] outcome in
            switch outcome {
            case .success(let connection): connection.start(call)
            case .failure(let error):
                call.stage = .waiting
                connectionEnded(call.origin)
                call.fail(HTTPError.connect(error))
            }
        }
        call.stage = .connecting(connector)
        connector.start()
    }

    /// As ``resolve``.
    static func lookUp(
        _ host: String, _ port: UInt16, _ loop: EventLoop,
        _ completion: @escaping (Result<[SocketAddress], UVError>) -> Void
    ) -> () -> Void {
        let query = Resolver.resolve(host, port: port, loop: loop, completion: completion)
        return { query.cancel() }
    }

    /// A connection has become idle: for whoever waits, or for the pool.
    func idle(_ connection: ClientConnection) {
        if isClosed { return connection.close() }
        step { pool, now, actions in
            connection.token = pool.becameIdle(
                connection, of: connection.origin, now: now, &actions)
        }
    }

    /// A connection is closing: it is in no pool any more.
    func forget(_ connection: ClientConnection) {
        guard let token = connection.token else { return }
        connection.token = nil
        step { pool, _, _ in pool.forget(token, of: connection.origin) }
    }

    /// There is room for another connection.
    func connectionEnded(_ origin: Origin) {
        step { [isClosed] pool, _, actions in
            pool.ended(origin, &actions)
            // Who waits has been told already.
            if isClosed { actions = [] }
        }
    }

    // MARK: Ending

    func ended(_ call: HTTPClientCall) {
        calls[ObjectIdentifier(call)] = nil
        if let token = call.token { _ = callDeadlines.cancel(token) }
        call.token = nil
        if let ticket = call.ticket { pool.withdraw(ticket) }
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
        for connection in pool.idleConnections { connection.close() }
        poolTimer?.close()
        poolTimer = nil
        callTimer?.close()
        callTimer = nil
    }
}

@available(*, unavailable)
extension HTTPClient: Sendable {}
