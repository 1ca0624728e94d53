import Pacing
import Reactor

/// Carries a ``StressMachine``'s dials out, and keeps the connections.
///
/// A connection costs its object, its handle, and ten bytes here; nothing else is kept of it.
final class ConnectionStress {
    /// Having peers watched takes four system calls each, which would slow dialing down by a tenth.
    /// It follows later, so many at a time: a peer is not asked in its first second anyway.
    private static let watchDelay = Duration.seconds(1)
    private static let watchPause = Duration.milliseconds(50)
    private static let watchBatch = 2000

    private let loop: EventLoop
    private let target: SocketAddress
    private let configuration: EgressClientConfiguration.Stress
    private let observe: (StressMachine.Action) -> Void
    private(set) var machine: StressMachine
    private var scratch: [StressMachine.Action] = []

    /// By slot; a dialing connection's tag is its slot, counted from -1 downwards.
    private var dialing: [TCPConnection?]
    /// An open connection's tag is its place here.
    private var connections: [TCPConnection] = []
    private var sources: [UInt16] = []
    /// Connections before this place are watched for vanished peers.
    private var watched = 0
    private var delay: Timer?
    private var watchTimer: Timer?

    private(set) var startedAt: Instant?
    private(set) var finishedAt: Instant?

    private var onConnected: (TCPConnection, Result<Void, UVError>) -> Void = { _, _ in }
    private var onClose: (TCPConnection) -> Void = { _ in }

    init(
        loop: EventLoop, target: SocketAddress, configuration: EgressClientConfiguration.Stress,
        machine: StressMachine, observe: @escaping (StressMachine.Action) -> Void
    ) {
        self.loop = loop
        self.target = target
        self.configuration = configuration
        self.machine = machine
        self.observe = observe
        dialing = Array(repeating: nil, count: max(configuration.concurrency, 1))
        onConnected = { [unowned self] in connected($0, $1) }
        onClose = { [unowned self] in closed($0) }
        if configuration.keepAlive != nil {
            watchTimer = Timer(loop: loop) { [unowned self] in watchSome() }
        }
    }

    /// Begins after the configured delay.
    func start() {
        let timer = Timer(loop: loop) { [unowned self] in
            delay?.close()
            delay = nil
            startedAt = loop.now
            step { $0.start(now: $1, &$2) }
        }
        delay = timer
        timer.schedule(after: configuration.delay)
    }

    /// Closes every connection. Counts stay.
    func stop() {
        delay?.close()
        delay = nil
        watchTimer?.close()
        watchTimer = nil
        machine.stop()
        for connection in dialing.compactMap({ $0 }) + connections {
            connection.onClose = nil  // it may outlive this object
            connection.abort()
        }
        dialing = []
        connections = []
        sources = []
    }

    /// How long it took until no more were opened; so far, while it goes on.
    var elapsed: Duration? { startedAt.map { (finishedAt ?? loop.now) - $0 } }

    private func step(
        _ event: (inout StressMachine, Instant, inout [StressMachine.Action]) -> Void
    ) {
        var actions: [StressMachine.Action] = []
        swap(&actions, &scratch)
        event(&machine, loop.now, &actions)
        for action in actions {
            switch action {
            case .dial(let slot, let source): dial(slot, source)
            case .warned: observe(action)
            case .finished:
                finishedAt = loop.now
                observe(action)
            }
        }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &scratch)
    }

    // What a target sends is read and dropped; that it ends the connection is noticed.
    private func dial(_ slot: Int, _ source: Int?) {
        let connection = TCPConnection(loop: loop)
        connection.tag = -1 - slot
        connection.onClose = onClose
        dialing[slot] = connection
        connection.connect(
            to: target, from: source.map { SocketAddress(configuration.sources[$0], port: 0) },
            deadline: configuration.dialTimeout, readsAtOnce: true, completion: onConnected)
    }

    private func connected(_ connection: TCPConnection, _ result: Result<Void, UVError>) {
        let slot = -1 - connection.tag
        dialing[slot] = nil
        switch result {
        case .success:
            connection.tag = connections.count
            connections.append(connection)
            sources.append(0)
            if let watchTimer, watchTimer.deadline == nil {
                watchTimer.schedule(after: ConnectionStress.watchDelay)
            }
            step { machine, now, actions in
                let source = machine.opened(slot, now: now, &actions)
                sources[connection.tag] = UInt16(clamping: source)
            }
        case .failure(let error):
            step { $0.failed(slot, StressMachine.Failure(error), now: $1, &$2) }
        }
    }

    private func watchSome() {
        let end = min(watched + ConnectionStress.watchBatch, connections.count)
        for place in watched..<max(end, watched) { watch(connections[place]) }
        watched = max(end, watched)
        if watched < connections.count { watchTimer?.schedule(after: ConnectionStress.watchPause) }
    }

    private func watch(_ connection: TCPConnection) {
        guard let idle = configuration.keepAlive else { return }
        connection.keepAlive(after: idle, every: .seconds(1), count: 15)
    }

    /// libuv is done with a connection: one that was open, or one that was never established.
    private func closed(_ connection: TCPConnection) {
        let place = connection.tag
        guard place >= 0 else { return }
        let source = Int(sources[place])
        let last = connections.count - 1
        if place < watched {
            if last >= watched { watch(connections[last]) } else { watched -= 1 }
        }
        if place != last {
            connections[place] = connections[last]
            connections[place].tag = place
            sources[place] = sources[last]
        }
        connections.removeLast()
        sources.removeLast()
        step { $0.closed(source: source, now: $1, &$2) }
    }
}

extension StressMachine.Failure {
    /// Whose fault a dial's failure is.
    init(_ error: UVError) {
        switch error.kind {
        case .outOfDescriptors: self = .descriptors
        case .addressInUse: self = .ports
        // The ports of the source have run out, unless the source itself is not ours.
        case .addressNotAvailable: self = error.operation == "bind" ? .local : .ports
        default: self = error.isLocal ? .local : .target
        }
    }
}
