import HTTPCodec
import Instrument
import Pacing
import Reactor

/// A ``ProbeRunner``, whatever its machine.
protocol ProbeRunning: AnyObject {
    var ledger: ProbeLedger { get }
    var effectiveInterval: Duration { get }
    var isGateOpen: Bool { get }
    var inFlight: Int { get }
    func start()
    /// Breaks all probes off and gives the timer back. The ledger stays readable.
    func stop()
}

/// Carries a pacing machine's probes out over TCP.
///
/// A probe is a connect, `GET /`, and the response head; the body is not waited for. Connection
/// objects go back to a pool when they are closed, so that a probe allocates nothing in steady
/// state. Probes end with a reset: they leave no TIME-WAIT behind on either side, of which ten a
/// second for every target would soon use up the ports.
final class ProbeRunner<M: ProbePacing>: ProbeRunning {
    /// One probe under way.
    private struct Probe {
        var connection: TCPConnection?
        var start = Instant(nanoseconds: 0)
        var target = 0
    }

    private let loop: EventLoop
    private let list: ConnectionList
    /// The list's addresses; nil where it gives a name, which is then looked up for each probe.
    private let hosts: [IPAddress?]
    private let observe: (ProbeAction) -> Void
    private let driver: MachineDriver<M>

    /// By flight.
    private var probes: [Probe] = []
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
        loop: EventLoop, list: ConnectionList, machine: M,
        observe: @escaping (ProbeAction) -> Void
    ) {
        self.loop = loop
        self.list = list
        hosts = list.addresses.map { IPAddress($0) }
        self.observe = observe
        driver = MachineDriver(loop: loop, machine: machine)
        // One set of closures for all probes: connections tell by their tag which flight they are.
        onConnected = { [unowned self] in connected($0, $1) }
        onRead = { [unowned self] in received($0, $1) }
        onEnd = { [unowned self] in ended($0, $1) }
        onClose = { [weak self] in self?.pool.append($0) }
        driver.onAction { [unowned self] in perform($0, $1) }
    }

    var ledger: ProbeLedger { driver.machine.ledger }
    var effectiveInterval: Duration { driver.machine.effectiveInterval }
    var isGateOpen: Bool { driver.machine.isGateOpen }
    var inFlight: Int { driver.machine.inFlight }

    func start() {
        driver.step { $0.start(now: $1, &$2) }
    }

    func stop() {
        driver.step { machine, _, actions in machine.stop(&actions) }
        driver.close()
        for query in queries.values { query.cancel() }
        queries = [:]
        pool = []
    }

    private func perform(_ action: ProbeAction, _ now: Instant) {
        switch action {
        case .launch(let flight, let target, _): launch(flight, target, now)
        case .cancel(let flight): land(flight)
        default: break
        }
        observe(action)
    }

    // MARK: - Probes

    private func launch(_ flight: Int, _ target: Int, _ now: Instant) {
        while probes.count <= flight { probes.append(Probe()) }
        probes[flight] = Probe(start: now, target: target)
        let entry = list.targets[target]
        if let host = hosts[Int(entry.address)] {
            connect(flight, to: SocketAddress(host, port: entry.port))
        } else {
            resolve(flight, entry)
        }
    }

    private func connect(_ flight: Int, to address: SocketAddress) {
        let connection = pool.popLast() ?? TCPConnection(loop: loop)
        probes[flight].connection = connection
        connection.tag = flight
        connection.onRead = onRead
        connection.onEnd = onEnd
        connection.onClose = onClose
        connection.connect(to: address, completion: onConnected)
        driver.machine.sent(flight, now: loop.now)
    }

    /// A target given by name is looked up for every probe: names move, and caching is the
    /// resolver's own affair.
    private func resolve(_ flight: Int, _ target: ConnectionList.Target) {
        driver.machine.resolving(flight)
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
            let now = loop.now
            let isLate = now - probes[flight].start >= retransmissionSuspected
            let retransmitted = isLate && connection.retransmissions ?? 1 > 0
            driver.machine.connected(flight, retransmitted: retransmitted, now: now)
            writeRequest(connection)
            driver.machine.sent(flight, now: loop.now)
            connection.resumeReading()
        case .failure(let error):
            fail(flight, ProbeFailure(error))
        }
    }

    private func writeRequest(_ connection: TCPConnection) {
        request.removeAll(keepingCapacity: true)
        request.append(contentsOf: "GET / HTTP/1.1\r\nHost: ".utf8)
        let target = list.targets[probes[connection.tag].target]
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
        guard !partial.isEmpty, var head = partial.removeValue(forKey: flight) else {
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
                driver.step { $0.answered(flight, status: head.status, now: $1, &$2) }
                return nil
            }
        }
    }

    private func ended(_ connection: TCPConnection, _ error: UVError?) {
        fail(connection.tag, error.map { ProbeFailure($0) } ?? .reset)
    }

    private func fail(_ flight: Int, _ reason: ProbeFailure) {
        land(flight)
        driver.step { $0.failed(flight, reason, now: $1, &$2) }
    }

    private func land(_ flight: Int) {
        if !partial.isEmpty { partial[flight] = nil }
        if !queries.isEmpty { queries.removeValue(forKey: flight)?.cancel() }
        probes[flight].connection?.abort()
        probes[flight].connection = nil
    }
}

/// The kernel's first retransmission of a SYN comes after one second (RFC 6298 §2).
private let retransmissionSuspected = Duration.milliseconds(900)

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
