import HTTPCodec
import Instrument
import Pacing
import Reactor
import Telemetry

/// Carries a ``HoldMachine``'s actions out over thousands of connections, and counts what comes.
///
/// A connection costs its object, its handle, its parser and some hundred bytes here; a request to
/// a server that names its pod in a field allocates nothing.
public final class HoldClient {
    private let loop: EventLoop
    /// The settings in use.
    public private(set) var configuration: HoldClientConfiguration
    private let onLine: ((UnsafeRawBufferPointer) -> Void)?
    private let onFirstFailure: (String) -> Void
    private let onTick: () -> Void
    private let onEnd: () -> Void

    private let driver: MachineDriver<HoldMachine>
    /// Behind a pointer, because mutating a class's property in place is checked at run time.
    private let reader: UnsafeMutablePointer<AnswerReader>
    private let request: [UInt8]
    /// By the machine's numbers, which are the connections' tags.
    private var connections: [TCPConnection?]
    private var book: AddressBook
    private var lines = ResponseLines()

    private var query: Resolver.Query?
    private var windowTimer: Timer?
    private var resolveTimer: Timer?
    private var ownDelay: OwnDelay?
    private var hasEnded = false

    private(set) var distribution: Distribution
    private(set) var latencies = LatencyHistogram()
    private(set) var connectTimes = LatencyHistogram()
    private(set) var failures = [Int](repeating: 0, count: FailureKind.allCases.count)
    /// Why the last failure of each kind happened, as the system said it.
    private(set) var examples = [String?](repeating: nil, count: FailureKind.allCases.count)
    private var dialedAt: [Instant]
    private(set) var endedAt: Instant?

    private var onConnected: (TCPConnection, Result<Void, UVError>) -> Void = { _, _ in }
    private var onRead: (TCPConnection, UnsafeRawBufferPointer) -> Void = { _, _ in }
    private var onPeerEnd: (TCPConnection, UVError?) -> Void = { _, _ in }

    /// - Parameters:
    ///   - onLine: gets lines, one a response, some at a time; nil where nobody reads them.
    ///   - onFirstFailure: told at once what the first failure was.
    ///   - onTick: called every half a second while it runs.
    ///   - onEnd: called once, when everything is closed.
    public init(
        loop: EventLoop, configuration: HoldClientConfiguration,
        onLine: ((UnsafeRawBufferPointer) -> Void)?,
        onFirstFailure: @escaping (String) -> Void = { _ in }, onTick: @escaping () -> Void,
        onEnd: @escaping () -> Void
    ) {
        self.loop = loop
        self.configuration = configuration
        self.onLine = onLine
        self.onFirstFailure = onFirstFailure
        self.onTick = onTick
        self.onEnd = onEnd
        let count = max(configuration.connections, 1)
        driver = MachineDriver(loop: loop, machine: configuration.machine())
        reader = .allocate(capacity: 1)
        reader.initialize(to: AnswerReader(connections: count))
        request = configuration.target.request
        connections = Array(repeating: nil, count: count)
        dialedAt = Array(repeating: Instant(nanoseconds: 0), count: count)
        book = AddressBook(sources: configuration.sources)
        distribution = Distribution(start: loop.now, promised: configuration.pods ?? 0)
        onConnected = { [unowned self] in connected($0, $1) }
        onRead = { [unowned self] in received($0, $1) }
        onPeerEnd = { [unowned self] in ended($0, $1) }
        driver.onAction { [unowned self] action, _ in perform(action) }
    }

    deinit {
        reader.deinitialize(count: 1).deallocate()
    }

    /// Looks the name up and begins.
    ///
    /// - Parameter onReady: gets the addresses, or why there are none: it has not begun then, and
    ///   will not.
    public func start(onReady: @escaping (Result<[SocketAddress], UVError>) -> Void) {
        let target = configuration.target
        query = Resolver.resolve(target.host, port: target.port, loop: loop) { [self] result in
            query = nil
            if hasEnded { return }
            if case .success(let addresses) = result { begin(addresses) }
            onReady(result)
        }
    }

    /// Ends it before its time: what is in flight stays unanswered.
    public func stop() {
        guard windowTimer != nil else { return end() }
        driver.step { machine, _, actions in machine.stop(&actions) }
    }

    private func begin(_ addresses: [SocketAddress]) {
        if configuration.sources.isEmpty, let first = addresses.first {
            let spread = configuration.loopbackSources(for: first.ipAddress)
            if !spread.isEmpty {
                configuration.sources = spread
                driver.machine = configuration.machine()
                book = AddressBook(sources: spread)
            }
        }
        book.update(addresses)
        distribution = Distribution(start: loop.now, promised: configuration.pods ?? 0)
        windowTimer = Timer(loop: loop) { [unowned self] in tick() }
        windowTimer?.schedule(after: HoldClient.tickInterval)
        ownDelay = OwnDelay(
            loop: loop,
            activity: { [unowned self] in
                let machine = driver.machine
                return machine.sent + machine.answered + machine.lost + machine.opened
            })
        if let interval = configuration.resolveInterval {
            resolveTimer = Timer(loop: loop) { [unowned self] in resolveAgain(every: interval) }
            resolveTimer?.schedule(after: interval)
        }
        driver.step { $0.start(now: $1, &$2) }
    }

    private static let tickInterval = Duration.milliseconds(500)

    private func tick() {
        let now = loop.now
        distribution.advance(now: now, gauges: gauges, held: reader.pointee.held)
        flushLines()
        onTick()
        if !hasEnded { windowTimer?.schedule(at: now + HoldClient.tickInterval) }
    }

    private var gauges: Distribution.Gauges {
        Distribution.Gauges(
            open: UInt32(clamping: driver.machine.open),
            inFlight: UInt32(clamping: driver.machine.inFlight))
    }

    private func resolveAgain(every interval: Duration) {
        let target = configuration.target
        query = Resolver.resolve(target.host, port: target.port, loop: loop) { [self] result in
            query = nil
            if hasEnded { return }
            switch result {
            case .success(let addresses): book.update(addresses)
            // The addresses that are known stay in use.
            case .failure(let error): failed(.resolve, "\(error)")
            }
            resolveTimer?.schedule(after: interval)
        }
    }

    // MARK: - The machine's actions

    private func perform(_ action: HoldMachine.Action) {
        switch action {
        case .dial(let index, let source): dial(index, source)
        case .send(let index): send(index)
        case .close(let index): drop(index)?.close()
        case .timedOut(let index):
            failed(.timeout, "no answer in time")
            drop(index)?.abort()
        case .finished: end()
        }
    }

    private func dial(_ index: Int, _ source: Int?) {
        guard let address = book.take() else {
            // The next turn tells the machine, which is in the middle of a step.
            loop.enqueue { [self] in
                if hasEnded { return }
                failed(.resolve, "no address of the sources' family")
                driver.step { $0.dialFailed(index, .resolve, now: $1, &$2) }
            }
            return
        }
        let connection = TCPConnection(loop: loop)
        connection.tag = index
        connections[index] = connection
        dialedAt[index] = loop.now
        connection.connect(
            to: address, from: source.map { SocketAddress(configuration.sources[$0], port: 0) },
            deadline: configuration.connectTimeout, readsAtOnce: true, completion: onConnected)
    }

    private func send(_ index: Int) {
        guard let connection = connections[index] else { return }
        // One that cannot be written to any more tells so through its end.
        if reader.pointee.requested(index) { connection.write(request) }
    }

    /// Forgets a connection; its callbacks do not come any more once it is closed.
    private func drop(_ index: Int) -> TCPConnection? {
        let connection = connections[index]
        connections[index] = nil
        reader.pointee.disconnected(index)
        return connection
    }

    // MARK: - What happens

    private func connected(_ connection: TCPConnection, _ result: Result<Void, UVError>) {
        let index = connection.tag
        guard connections[index] === connection else { return }
        switch result {
        case .success:
            book.connected()
            connectTimes.record(loop.now - dialedAt[index])
            connection.onRead = onRead
            connection.onEnd = onPeerEnd
            reader.pointee.connected(index)
            driver.step { $0.opened(index, now: $1, &$2) }
        case .failure(let error):
            connections[index] = nil
            let kind = FailureKind(dial: error)
            let counts = !book.dialFailed(error.address)
            if counts { failed(kind, "\(error)") }
            driver.step { $0.dialFailed(index, counts ? kind : nil, now: $1, &$2) }
        }
    }

    private func received(_ connection: TCPConnection, _ bytes: UnsafeRawBufferPointer) {
        let index = connection.tag
        guard connections[index] === connection else { return }
        take(reader.pointee.received(index, bytes), index)
    }

    private func take(_ outcome: AnswerReader.Outcome, _ index: Int) {
        switch outcome {
        case .needMore: return
        case .malformed(let error):
            drop(index)?.abort()
            failed(.malformed, "\(error)")
            driver.step { machine, now, actions in
                _ = machine.lost(index, hasBegun: true, now: now, &actions)
            }
        case .answer(let status, let pod, let keepsAlive):
            driver.step { machine, now, actions in
                let latency = machine.answered(index, keepsAlive: keepsAlive, now: now, &actions)
                if let latency { answered(status, pod, latency, index, now) }
            }
        }
    }

    private func answered(
        _ status: Int, _ pod: Int, _ latency: Duration, _ index: Int, _ now: Instant
    ) {
        guard 200..<300 ~= status else { return failed(.status, "status \(status)") }
        distribution.record(pod: pod, now: now)
        latencies.record(latency)
        guard onLine != nil else { return }
        lines.append(
            pod: reader.pointee.pods.names[pod], latency: latency, at: now - distribution.start,
            connection: index)
        if lines.isFull { flushLines() }
    }

    private func ended(_ connection: TCPConnection, _ error: UVError?) {
        let index = connection.tag
        guard connections[index] === connection else { return }
        if error == nil, case .answer(let status, let pod, _) = reader.pointee.ended(index) {
            // An answer whose end is that of its connection (RFC 9112 §6.3); it is closed then.
            return take(.answer(status: status, pod: pod, keepsAlive: false), index)
        }
        let hasBegun = reader.pointee.hasBegun(index)
        drop(index)?.close()
        driver.step { machine, now, actions in
            let loss = machine.lost(index, hasBegun: hasBegun, now: now, &actions)
            if loss == .nothing { return }
            let kind = FailureKind(end: error)
            let isReused = loss == .requestOnReused && (kind == .closed || kind == .reset)
            failed(
                isReused ? .reused : kind, error.map { "\($0)" } ?? "closed before the answer")
        }
    }

    private func failed(_ kind: FailureKind, _ example: @autoclosure () -> String) {
        failures[kind.index] += 1
        if failures[kind.index] == 1 {
            let text = example()
            examples[kind.index] = text
            if failureCount == 1 { onFirstFailure("\(kind.rawValue): \(text)") }
        }
        distribution.recordFailure(now: loop.now)
    }

    private func flushLines() {
        if let onLine { lines.flush(to: onLine) }
    }

    private func end() {
        if hasEnded { return }
        hasEnded = true
        endedAt = loop.now
        distribution.advance(now: loop.now, gauges: gauges, held: reader.pointee.held)
        flushLines()
        query?.cancel()
        query = nil
        ownDelay?.close()
        driver.close()
        for timer in [windowTimer, resolveTimer] { timer?.close() }
        for case let connection? in connections {
            // A server that is still to answer learns at once that nobody waits.
            if driver.machine.isInFlight(connection.tag) {
                connection.abort()
            } else {
                connection.close()
            }
        }
        connections = Array(repeating: nil, count: connections.count)
        loop.enqueue { [self] in onEnd() }
    }

    // MARK: - For the report

    var hold: HoldMachine { driver.machine }
    var podNames: [String] { reader.pointee.pods.names }
    var delays: LatencyHistogram { ownDelay?.delays ?? LatencyHistogram() }
    var held: [Int] { reader.pointee.held }
    var isRunning: Bool { windowTimer != nil && !hasEnded }
    var now: Instant { endedAt ?? loop.now }

    /// Failures of all kinds.
    public var failureCount: Int { failures.reduce(0, +) }
    /// Those of them that are the target's, or nobody's: not this machine's own trouble.
    public var remoteFailureCount: Int {
        zip(FailureKind.allCases, failures).reduce(0) { $0 + ($1.0.isLocal ? 0 : $1.1) }
    }
    /// Requests that were answered with a status of 2xx.
    public var answeredCount: Int { distribution.total }
}

@available(*, unavailable)
extension HoldClient: Sendable {}

extension HoldClient {
    /// Everything that is known now.
    public var report: HoldReport { HoldReport(self) }

    /// How far it is, in one line.
    public var progress: String {
        "\(hold.open) connections open, \(hold.inFlight) requests in flight, "
            + "\(hold.answered) answered, \(failureCount) failures, \(hold.reconnects) reconnects"
    }
}
