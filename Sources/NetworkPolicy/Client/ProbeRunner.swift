import HTTPCodec
import Pacing
import Reactor

/// Carries a pacing machine's probes out over TCP.
///
/// A probe is a connect, `GET /`, and the response head; the body is not waited for. Connection
/// objects go back to a pool when they are closed, so that a probe allocates nothing in steady
/// state. Probes end with a reset: they leave no TIME-WAIT behind on either side, of which ten a
/// second for every target would soon use up the ports.
final class ProbeRunner {
    /// The kernel's first retransmission of a SYN comes after one second (RFC 6298 §2).
    private static let retransmissionSuspected = Duration.milliseconds(900)

    private let loop: EventLoop
    private var machine: any ProbePacing
    private let list: ConnectionList
    /// The list's addresses; nil where it gives a name, which is then looked up for each probe.
    private let hosts: [IPAddress?]
    private let observe: (ProbeAction) -> Void
    private var timer: Timer?
    private var scratch: [ProbeAction] = []

    private var flying: [TCPConnection?] = []
    private var launches: [(at: Instant, target: Int)] = []
    private var pool: [TCPConnection] = []
    private var queries: [Int: Resolver.Query] = [:]
    /// Heads that have come in part; rare, so they are kept beside the flights.
    private var partial: [Int: [UInt8]] = [:]
    private let context = HTTPCodecContext()
    private var request: [UInt8] = []

    private var onConnected: (TCPConnection, Result<Void, UVError>) -> Void = { _, _ in }
    private var onRead: (TCPConnection, UnsafeRawBufferPointer) -> Void = { _, _ in }
    private var onEnd: (TCPConnection, UVError?) -> Void = { _, _ in }
    private var onClose: (TCPConnection) -> Void = { _ in }

    /// - Parameter observe: gets every action after it was carried out; for logs and counters.
    init(
        loop: EventLoop, list: ConnectionList, machine: any ProbePacing,
        observe: @escaping (ProbeAction) -> Void
    ) {
        self.loop = loop
        self.list = list
        hosts = list.addresses.map { IPAddress($0) }
        self.machine = machine
        self.observe = observe
        // One set of closures for all probes: connections tell by their tag which flight they are.
        onConnected = { [unowned self] in connected($0, $1) }
        onRead = { [unowned self] in received($0, $1) }
        onEnd = { [unowned self] in ended($0, $1) }
        onClose = { [weak self] in self?.pool.append($0) }
        timer = Timer(loop: loop) { [unowned self] in step { $0.tick(now: $1, &$2) } }
    }

    var ledger: ProbeLedger { machine.ledger }
    var effectiveInterval: Duration { machine.effectiveInterval }
    var isGateOpen: Bool { machine.isGateOpen }
    var inFlight: Int { machine.inFlight }

    func start() {
        step { $0.start(now: $1, &$2) }
    }

    /// Breaks all probes off and gives the timer back. The ledger stays readable.
    func stop() {
        guard timer != nil else { return }
        step { machine, _, actions in machine.stop(&actions) }
        timer?.close()
        timer = nil
        for query in queries.values { query.cancel() }
        queries = [:]
        pool = []
    }

    // MARK: - The machine

    private func step(_ event: (inout any ProbePacing, Instant, inout [ProbeAction]) -> Void) {
        var actions: [ProbeAction] = []
        swap(&actions, &scratch)
        event(&machine, loop.now, &actions)
        for action in actions {
            switch action {
            case .launch(let flight, let target): launch(flight, target)
            case .cancel(let flight): land(flight)
            default: break
            }
            observe(action)
        }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &scratch)
        if let deadline = machine.nextDeadline {
            if timer?.deadline != deadline { timer?.schedule(at: deadline) }
        } else {
            timer?.cancel()
        }
    }

    // MARK: - Probes

    private func launch(_ flight: Int, _ target: Int) {
        let now = loop.now
        while flying.count <= flight {
            flying.append(nil)
            launches.append((now, target))
        }
        launches[flight] = (now, target)
        let entry = list.targets[target]
        if let host = hosts[Int(entry.address)] {
            connect(flight, to: SocketAddress(host, port: entry.port))
        } else {
            resolve(flight, entry)
        }
    }

    private func connect(_ flight: Int, to address: SocketAddress) {
        let connection = pool.popLast() ?? TCPConnection(loop: loop)
        flying[flight] = connection
        connection.tag = flight
        connection.onRead = onRead
        connection.onEnd = onEnd
        connection.onClose = onClose
        connection.connect(to: address, completion: onConnected)
        machine.sent(flight, now: loop.now)
    }

    /// A target given by name is looked up for every probe: names move, and caching is the
    /// resolver's own affair.
    private func resolve(_ flight: Int, _ target: ConnectionList.Target) {
        machine.resolving(flight)
        queries[flight] = Resolver.resolve(
            list.address(of: target), port: target.port, loop: loop
        ) { [unowned self] result in
            queries[flight] = nil
            switch result {
            case .success(let addresses): connect(flight, to: addresses[0])
            case .failure(let error): fail(flight, error.isLocal ? .local : .unresolved)
            }
        }
    }

    private func connected(_ connection: TCPConnection, _ result: Result<Void, UVError>) {
        let flight = connection.tag
        switch result {
        case .success:
            let isLate = loop.now - launches[flight].at >= ProbeRunner.retransmissionSuspected
            let retransmitted = isLate && connection.retransmissions ?? 1 > 0
            machine.connected(flight, retransmitted: retransmitted, now: loop.now)
            writeRequest(connection)
            machine.sent(flight, now: loop.now)
            connection.resumeReading()
        case .failure(let error):
            fail(flight, ProbeFailure(error))
        }
    }

    private func writeRequest(_ connection: TCPConnection) {
        request.removeAll(keepingCapacity: true)
        request.append(contentsOf: "GET / HTTP/1.1\r\nHost: ".utf8)
        let target = list.targets[launches[connection.tag].target]
        if let host = hosts[Int(target.address)] {
            SocketAddress(host, port: target.port).append(to: &request)
        } else {
            request.append(contentsOf: "\(list.address(of: target)):\(target.port)".utf8)
        }
        request.append(
            contentsOf: "\r\nUser-Agent: sonde\r\nAccept: */*\r\nConnection: close\r\n\r\n".utf8)
        connection.write(request)
    }

    private func received(_ connection: TCPConnection, _ bytes: UnsafeRawBufferPointer) {
        let flight = connection.tag
        guard var head = partial.removeValue(forKey: flight) else {
            if let rest = parse(flight, bytes) { partial[flight] = rest }
            return
        }
        head.append(contentsOf: bytes)
        if let rest = head.withUnsafeBytes({ parse(flight, $0) }) { partial[flight] = rest }
    }

    /// - Returns: what is to be kept because the head is not complete.
    private func parse(_ flight: Int, _ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
        var bytes = bytes
        while true {
            var parser = HeadParser()
            switch parser.parseResponse(bytes, to: .get, context) {
            case .incomplete:
                return Array(bytes)
            case .failed:
                fail(flight, .malformed)
                return nil
            case .complete:
                let head = context.responseHead
                if head.isInformational {
                    bytes = UnsafeRawBufferPointer(rebasing: bytes[Int(head.byteCount)...])
                    continue
                }
                land(flight)
                step { $0.answered(flight, status: head.status, now: $1, &$2) }
                return nil
            }
        }
    }

    private func ended(_ connection: TCPConnection, _ error: UVError?) {
        fail(connection.tag, error.map { ProbeFailure($0) } ?? .reset)
    }

    private func fail(_ flight: Int, _ reason: ProbeFailure) {
        land(flight)
        step { $0.failed(flight, reason, now: $1, &$2) }
    }

    private func land(_ flight: Int) {
        partial[flight] = nil
        queries.removeValue(forKey: flight)?.cancel()
        flying[flight]?.abort()
        flying[flight] = nil
    }
}

extension ProbeFailure {
    /// What a probe that met this error says about its target.
    init(_ error: UVError) {
        if error.isLocal {
            self = .local
            return
        }
        switch error.kind {
        case .refused: self = .refused
        case .timedOut: self = .timedOut
        case .unreachable: self = .unreachable
        case .unknownName: self = .unresolved
        default: self = .reset
        }
    }
}
