import HTTPCodec
import Pacing
import Reactor

/// An HTTP/1.1 server on an `EventLoop`.
///
///     let server = HTTPServer(loop: loop) { request, responder in
///         responder.respond(status: 200, body: "hello\n")
///     }
///     let address = try server.listen(on: SocketAddress("127.0.0.1:0")!)
///     loop.run()
///
/// Requests of one connection are handled one after the other. What a handler gets is borrowed for
/// the length of its call; the responder may be kept and used later. Open until ``close()`` or the
/// end of ``drain(grace:completion:)``.
public final class HTTPServer {
    /// Gets a request with all of its content.
    public typealias Handler = (HTTPServerRequest, HTTPResponder) -> Void
    /// Gets a request at its head and says what is to be done with its content.
    public typealias HeadHandler = (HTTPServerRequest, HTTPResponder) -> HTTPBodyHandling

    /// The loop on which everything happens.
    public let loop: EventLoop
    /// What peers are allowed; fixed for the life of the server.
    public let configuration: HTTPServerConfiguration

    let context: HTTPCodecContext
    let requestLimit: UInt32
    /// Used where there is no head handler.
    let handler: Handler
    let headHandler: HeadHandler?

    private var listeners: [any HTTPListening] = []
    /// Every open connection, at the index that its stream's tag says.
    private(set) var connections: [ServerConnection] = []
    private var isPaused = false
    private(set) var isDraining = false
    private var drainTimer: Timer?
    /// Whether some connection has had more queued than its peer took, since memory was given back.
    var hasQueuedMuch = false
    private var memoryTimer: Timer?
    private var drainCompletion: (() -> Void)?

    /// What all connections collect.
    var budget: BodyBudget

    /// Requests whose head was complete, since the server was made.
    public var requestCount: UInt64 { requests }
    var requests: UInt64 = 0

    /// What is written during one turn of one connection, so that pipelined answers, and a head and
    /// its content, leave in one system call.
    let output = HeadWriter(reserving: 4096)
    /// Whose it is: unmanaged, because it is only for the length of a turn, and told twice a
    /// request. `ServerConnection.tearDown` clears it.
    private var outputOwner: Unmanaged<ServerConnection>?
    /// The one exchange that suffices while requests are answered as they come.
    private var spare: ServerExchange?
    let hasDate: Bool
    private var dateText = ""
    private var dateIsOldAt = Instant(nanoseconds: 0)

    /// One queue for each kind, at its number.
    private var deadlineQueues: [DeadlineClass<ServerConnection>?] = []

    /// Content is collected before `handler` is called; more than the limit is answered with 413.
    public convenience init(
        loop: EventLoop, configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
        handler: @escaping Handler
    ) {
        self.init(loop: loop, configuration: configuration, handler: handler, headHandler: nil)
    }

    /// Requests go where the router sends them.
    public convenience init(
        loop: EventLoop, configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
        router: HTTPRouter
    ) {
        self.init(
            loop: loop, configuration: configuration, handler: { _, _ in },
            headHandler: router.handle)
    }

    /// A server whose handler is called at the end of each head and decides about the content.
    public static func decidingAtHead(
        loop: EventLoop, configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
        headHandler: @escaping HeadHandler
    ) -> HTTPServer {
        HTTPServer(
            loop: loop, configuration: configuration, handler: { _, _ in },
            headHandler: headHandler)
    }

    private init(
        loop: EventLoop, configuration: HTTPServerConfiguration, handler: @escaping Handler,
        headHandler: HeadHandler?
    ) {
        self.loop = loop
        self.configuration = configuration
        self.handler = handler
        self.headHandler = headHandler
        hasDate = configuration.date != nil
        context = HTTPCodecContext(limits: configuration.limits)
        budget = BodyBudget(limit: configuration.maximumBodyMemory)
        requestLimit =
            configuration.maximumRequestsPerConnection.map { UInt32(clamping: $0) } ?? .max
        deadlineQueues = ServerConnectionMachine.Deadline.allCases.map {
            configuration.duration(of: $0).map {
                DeadlineClass(loop: loop, timeout: $0) { $0.deadlinePassed() }
            }
        }
    }

    // MARK: Listening

    /// Listens on one more address; port 0 lets the kernel choose.
    ///
    /// - Returns: the address in use.
    /// - Throws: `UVError` with the address: in use, not of this machine, not permitted.
    @discardableResult
    public func listen(on address: SocketAddress) throws(UVError) -> SocketAddress {
        let listener = try TCPListener(
            loop: loop, address: address, backlog: configuration.backlog,
            reusePort: configuration.reusesPort
        ) { [self] connection in
            serve(connection)  // the listener lets go of its closure when it closes
        }
        attach(listener)
        return listener.localAddress
    }

    /// As ``listen(on:)``, but "every address" means every IPv4 address on a machine without IPv6.
    @discardableResult
    public func listenAnywhere(on address: SocketAddress) throws(UVError) -> SocketAddress {
        try HTTPServer.anywhere(address) { address throws(UVError) in try listen(on: address) }
    }

    /// The same for listeners of other kinds, which `listen` opens.
    public static func anywhere<Bound>(
        _ address: SocketAddress, _ listen: (SocketAddress) throws(UVError) -> Bound
    ) throws(UVError) -> Bound {
        do throws(UVError) {
            return try listen(address)
        } catch {
            let lacksIPv6 = error.isLocal && error.kind != .addressInUse
            guard address.ipAddress == .anyV6, lacksIPv6 else { throw error }
            return try listen(SocketAddress(.anyV4, port: address.port))
        }
    }

    /// Takes over a listener of any kind, whose connections come to ``serve(_:)``: it is paused
    /// while the server has its fill, and closed when that drains or closes.
    public func attach(_ listener: any HTTPListening) {
        if isDraining { return listener.close() }
        listeners.append(listener)
        if isPaused { listener.pause() }
    }

    /// The addresses in use.
    public var addresses: [SocketAddress] { listeners.compactMap(\.boundAddress) }

    /// Connections that a listener has accepted and prepares for ``serve(_:)``, which it counts
    /// here: they are among the `maximumConnections`.
    public var preparingCount = 0 { didSet { balance() } }

    /// How many connections are open.
    public var connectionCount: Int { connections.count }

    /// Serves a stream that somebody else has opened, of whatever kind: behind TLS, on a Unix
    /// socket, in memory.
    ///
    /// - Parameter stream: open, without callbacks and context of its own, and read by nobody. From
    ///   here on it belongs to the server, which closes it.
    public func serve<Stream: ByteStream>(_ stream: Stream) {
        // As a listener does with those that come too late.
        if isDraining { return stream.abort() }
        stream.tag = connections.count
        let connection = StreamServerConnection(stream, server: self)
        connections.append(connection)
        connection.start()
        balance()
    }

    /// Pauses listeners as long as the server has its fill.
    private func balance() {
        let isFull = connections.count + preparingCount >= configuration.maximumConnections
        guard isFull != isPaused, !isDraining else { return }
        isPaused = isFull
        for listener in listeners {
            if isFull { listener.pause() } else { listener.resume() }
        }
    }

    /// The reactor is done with a connection.
    func closed(at index: Int) {
        connections[index].handleClosed()
        let last = connections.count - 1
        if index != last {
            connections[index] = connections[last]
            connections[index].index = index
        }
        connections.removeLast()
        balance()
        if isDraining, connections.isEmpty { finishDraining() }
        if hasQueuedMuch, !isDraining { giveMemoryBackSoon() }
    }

    /// What slow readers had queued for them goes back to the system, a second after one of them
    /// has gone: one look at the memory for all that go together.
    private func giveMemoryBackSoon() {
        if memoryTimer?.deadline != nil { return }
        let timer =
            memoryTimer
            ?? Timer(loop: loop) { [weak self] in
                self?.hasQueuedMuch = false
                ProcessFigures.giveMemoryBack()
            }
        timer.setKeepsLoopAlive(false)
        timer.schedule(after: .seconds(1))
        memoryTimer = timer
    }

    // MARK: Ending

    /// Stops accepting, lets the requests under way finish (`Connection: close`) and closes.
    ///
    /// Under way is what a peer had sent before it was told so, pipelined requests included.
    ///
    /// - Parameters:
    ///   - grace: after this long what is still open is reset.
    ///   - completion: called once, when the last connection is gone.
    public func drain(grace: Duration, completion: @escaping () -> Void = {}) {
        let earlier = drainCompletion
        drainCompletion = {
            earlier?()
            completion()
        }
        if isDraining {
            // Closed or drained already: nobody else would come and call.
            if connections.isEmpty { loop.enqueue { [self] in finishDraining() } }
            return
        }
        isDraining = true
        closeListeners()
        // From the next turn on: a handler may be what asked for it.
        loop.enqueue { [self] in
            let timer = Timer(loop: loop) { [weak self] in self?.abortAll() }
            timer.schedule(after: grace)
            drainTimer = timer
            for connection in connections { connection.drain() }
            if connections.isEmpty { finishDraining() }
        }
    }

    /// Stops accepting and resets every connection. Idempotent.
    public func close() {
        isDraining = true
        closeListeners()
        abortAll()
        closeDeadlines()
    }

    private func closeListeners() {
        for listener in listeners { listener.close() }
        listeners.removeAll()
    }

    private func abortAll() {
        for connection in connections { connection.abort() }
    }

    private func finishDraining() {
        drainTimer?.close()
        drainTimer = nil
        closeDeadlines()
        let completion = drainCompletion
        drainCompletion = nil
        completion?()
    }

    private func closeDeadlines() {
        spare = nil  // it holds the server
        memoryTimer?.close()
        memoryTimer = nil
        for queue in deadlineQueues { queue?.close() }
    }

    // MARK: What connections share

    func deadlines(_ kind: ServerConnectionMachine.Deadline) -> DeadlineClass<ServerConnection>? {
        deadlineQueues[Int(kind.rawValue)]
    }

    /// An exchange for a connection on which something begins.
    func takeExchange() -> ServerExchange {
        guard let exchange = spare else { return ServerExchange(server: self) }
        spare = nil
        return exchange
    }

    /// Nothing is under way on its connection any more.
    func giveBack(_ exchange: ServerExchange) {
        exchange.clear()
        if spare == nil, !isDraining { spare = exchange }
    }

    /// Makes `connection` the one for which `output` is written.
    func claimOutput(for connection: ServerConnection) {
        if isOutput(of: connection) { return }
        if let owner = outputOwner { owner.takeUnretainedValue().flush() }
        outputOwner = Unmanaged.passUnretained(connection)
    }

    @inline(__always)
    func isOutput(of connection: ServerConnection) -> Bool {
        outputOwner?.toOpaque() == Unmanaged.passUnretained(connection).toOpaque()
    }

    @inline(__always)
    func disownOutput() { outputOwner = nil }

    /// The Date of now, to the second.
    func currentDate() -> String? {
        guard hasDate, let date = configuration.date else { return nil }
        let now = loop.now
        if now >= dateIsOldAt {
            dateText = date()
            dateIsOldAt = now + .seconds(1)
        }
        return dateText
    }
}

@available(*, unavailable)
extension HTTPServer: Sendable {}
