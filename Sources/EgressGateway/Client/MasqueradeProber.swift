import Instrument
import Pacing
import Reactor
import Telemetry

/// Carries a ``MasqueradeMachine``'s probes out over TCP.
///
/// Connection objects go back to a pool when they are closed. Probes end with a reset, so that they
/// leave no TIME-WAIT behind and a gateway forgets them at once.
final class MasqueradeProber {
    /// The kernel's first retransmission of a SYN comes after one second (RFC 6298 §2).
    private static let retransmissionSuspected = Duration.milliseconds(900)

    private let loop: EventLoop
    private let target: EgressTarget
    private let sources: [IPAddress]
    private let readWallClock: () -> WallClock
    private let observe: (MasqueradeMachine.Action) -> Void
    private let driver: MachineDriver<MasqueradeMachine>
    /// The target's, once it is known.
    private(set) var address: SocketAddress?
    /// Has the wall clock's time of every probe and of every connection.
    private(set) var wallClock = WallClockRecord()
    private var query: Resolver.Query?

    private struct Probe {
        var connection: TCPConnection
        var start: Instant
    }
    private var probes: [Int: Probe] = [:]
    private var pool: [TCPConnection] = []

    private var onConnected: (TCPConnection, Result<Void, UVError>) -> Void = { _, _ in }
    private var onRead: (TCPConnection, UnsafeRawBufferPointer) -> Void = { _, _ in }
    private var onEnd: (TCPConnection, UVError?) -> Void = { _, _ in }
    private var onClose: (TCPConnection) -> Void = { _ in }

    /// - Parameters:
    ///   - sources: what the target's address, if it has several, must be good for.
    ///   - readWallClock: what the machine's clock says.
    ///   - observe: gets every action after it was carried out; for logs and what follows.
    init(
        loop: EventLoop, target: EgressTarget, sources: [IPAddress], machine: MasqueradeMachine,
        readWallClock: @escaping () -> WallClock,
        observe: @escaping (MasqueradeMachine.Action) -> Void
    ) {
        self.loop = loop
        self.target = target
        self.sources = sources
        driver = MachineDriver(loop: loop, machine: machine, isPrecise: true)
        self.readWallClock = readWallClock
        address = target.address
        self.observe = observe
        // One set of closures for all probes: connections tell by their tag which one they are.
        onConnected = { [unowned self] in connected($0, $1) }
        onRead = { [unowned self] connection, bytes in
            driver.step { $0.received(connection.tag, bytes, now: $1, &$2) }
        }
        onEnd = { [unowned self] connection, error in
            let flight = connection.tag
            land(flight)
            driver.step { $0.ended(flight, isBroken: error != nil, now: $1, &$2) }
        }
        onClose = { [weak self] in self?.pool.append($0) }
        driver.onAction { [unowned self] in perform($0, $1) }
    }

    var machine: MasqueradeMachine { driver.machine }

    func start(origin: Instant) {
        wallClock.note(readWallClock(), at: loop.now)
        driver.step { $0.start(origin: origin, now: $1, &$2) }
    }

    /// Breaks all probes off and gives the timer back. The machine stays readable.
    func stop() {
        driver.step { machine, _, actions in machine.stop(&actions) }
        driver.close()
        query?.cancel()
        query = nil
        pool = []
        onClose = { _ in }
    }

    private func perform(_ action: MasqueradeMachine.Action, _ now: Instant) {
        switch action {
        case .resolve: resolve()
        case .launch(let flight, let port): launch(flight, port, now: now)
        case .cancel(let flight): land(flight)
        default: break
        }
        observe(action)
    }

    private func resolve() {
        query = Resolver.resolve(target.host, port: target.port, loop: loop) { [unowned self] in
            query = nil
            address = (try? $0.get()).flatMap { EgressTarget.choose($0, sources: sources) }
            driver.step { [address] in
                if address == nil { $0.unresolved(now: $1, &$2) } else { $0.resolved(now: $1, &$2) }
            }
        }
    }

    private func launch(_ flight: Int, _ port: UInt16?, now: Instant) {
        guard let address else { return }
        // Both clocks at one moment: the actions before this one may have taken a while.
        wallClock.note(readWallClock(), at: loop.now)
        let connection = pool.popLast() ?? TCPConnection(loop: loop)
        probes[flight] = Probe(connection: connection, start: now)
        connection.tag = flight
        connection.onRead = onRead
        connection.onEnd = onEnd
        connection.onClose = onClose
        let any = address.ipAddress.isIPv6 ? IPAddress.anyV6 : .anyV4
        connection.connect(
            to: address, from: port.map { SocketAddress(any, port: $0) }, readsAtOnce: true,
            completion: onConnected)
    }

    private func connected(_ connection: TCPConnection, _ result: Result<Void, UVError>) {
        let flight = connection.tag
        guard let probe = probes[flight] else { return }
        switch result {
        case .success:
            let now = loop.now
            wallClock.note(readWallClock(), at: now)
            let isLate = now - probe.start >= MasqueradeProber.retransmissionSuspected
            let retransmitted = isLate && connection.retransmissions ?? 1 > 0
            driver.machine.connected(flight, retransmitted: retransmitted, now: now)
        case .failure(let error):
            land(flight)
            switch error.kind {
            case .addressInUse, .addressNotAvailable:
                driver.step { $0.portTaken(flight, now: $1, &$2) }
            default:
                driver.step { $0.failed(flight, MissKind(error), now: $1, &$2) }
            }
        }
    }

    private func land(_ flight: Int) {
        probes.removeValue(forKey: flight)?.connection.abort()
    }
}

extension MissKind {
    /// What a connection that failed with this error says about the path.
    init(_ error: UVError) {
        // A port that we may not bind is no matter of the path's.
        if error.isLocal || error.operation == "bind" {
            self = .local
            return
        }
        switch error.kind {
        case .timedOut: self = .timedOut
        case .unreachable: self = .unreachable
        default: self = .refused
        }
    }
}
