import Pacing
import Telemetry

/// Opens connections, so many at once, and keeps them, until the target fails three dials, in a row
/// or in all, or something has run out.
///
///     state     event                              state     actions
///     idle      start                              dialing   dial × concurrency
///     dialing   opened                             dialing   dial
///     dialing   dial failed by the target          dialing   dial; the third one: ending
///     dialing   no port left for a source          dialing   dial from another; none left: ending
///     dialing   no descriptors, or local trouble   ending    –
///     dialing   the limits are reached             ending    –
///     ending    the last dial has ended            ended     finished
///     any       a connection has closed            same      dial, while dialing
///
/// Failures of this machine are not the target's: they end the test with their own reason.
struct StressMachine: Sendable {
    struct Configuration: Sendable {
        /// Dials under way at once.
        var concurrency = 64
        /// Connections to open in all; nil for no limit.
        var maximum: Int?
        /// Source addresses; 0 leaves the choice to the kernel, and counts as one without limit.
        var sources = 0
        /// Connections open at once from one source address.
        var perSource = 10_000
        /// Connections open at once, so that a reserve of descriptors keeps the API answering.
        var descriptors = 10_000
        /// Failures after which the target has had enough.
        var failures = 3
        /// Whether those count wherever they come; else a dial that succeeds forgives them.
        var countsAllFailures = false
    }

    enum Action: Equatable, Sendable {
        /// Connect from this source (nil: as the kernel likes) and report by the slot.
        case dial(slot: Int, source: Int?)
        /// For the log: what the connections may do to the network.
        case warned(String)
        /// No dial is under way any more, and none will be. Connections stay open.
        case finished(End)
    }

    /// Why no more connections are opened.
    enum End: String, Sendable {
        case targetFailed = "target-failed"
        case maximumReached = "maximum-reached"
        case sourcesFull = "sources-full"
        case outOfPorts = "out-of-ports"
        case outOfDescriptors = "out-of-descriptors"
        case localError = "local-error"
        case stopped
    }

    /// What a dial failed of.
    enum Failure: Sendable { case target, ports, descriptors, local }

    private struct Dial: Sendable {
        var start: Instant
        var source: Int
    }

    private let configuration: Configuration
    private var sources: SourceSpread
    /// By slot; nil while it is free.
    private var dials: [Dial?]
    private var freeSlots: [Int]
    private var countedFailures = 0
    private var isStarted = false
    /// Why it ends, once that is known.
    private(set) var end: End?

    /// Connections opened so far.
    private(set) var opened = 0
    /// Connections that closed although nobody here closed them.
    private(set) var closed = 0
    /// Dials that the target failed.
    private(set) var targetFailures = 0
    /// Dials that this machine failed.
    private(set) var localFailures = 0
    /// What the dials ask of the network, and what the probes before them did.
    private(set) var load: ProbeLoad
    private var hasWarned = false
    /// From dial to connection, in seconds. The bounds include those of Prometheus's default.
    private(set) var latency = BucketHistogram(upperBounds: [
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5,
        1, 2.5, 5, 10,
    ])

    init(configuration: Configuration, load: ProbeLoad = ProbeLoad()) {
        self.load = load
        let concurrency = max(configuration.concurrency, 1)
        self.configuration = configuration
        sources = SourceSpread(count: configuration.sources, perSource: configuration.perSource)
        dials = Array(repeating: nil, count: concurrency)
        freeSlots = Array((0..<concurrency).reversed())
    }

    /// Connections open now.
    var open: Int { opened - closed }
    /// Dials under way.
    var dialing: Int { dials.count - freeSlots.count }
    /// Connection-tracking entries that a node on the way may hold for all this: those of open
    /// connections, and of SYNs that were not answered.
    func trackingEntries(at now: Instant) -> Int { open + load.entries(at: now) }
    var isFinished: Bool { end != nil && dialing == 0 }

    mutating func start(now: Instant, _ actions: inout [Action]) {
        guard !isStarted else { return }
        isStarted = true
        proceed(now: now, &actions)
    }

    /// - Returns: the number of the source, to be given back by ``closed(source:now:_:)``.
    mutating func opened(_ slot: Int, now: Instant, _ actions: inout [Action]) -> Int {
        guard let dial = take(slot) else { return 0 }
        opened += 1
        if !configuration.countsAllFailures { countedFailures = 0 }
        latency.observe(now - dial.start)
        load.answered(startedAt: dial.start, now: now)
        proceed(now: now, &actions)
        return dial.source
    }

    mutating func failed(
        _ slot: Int, _ failure: Failure, now: Instant, _ actions: inout [Action]
    ) {
        guard let dial = take(slot) else { return }
        sources.dialFailed(dial.source, outOfPorts: failure == .ports)
        if failure != .target { load.answered(startedAt: dial.start, now: now) }
        switch failure {
        case .target:
            targetFailures += 1
            countedFailures += 1
            if countedFailures >= max(configuration.failures, 1) { finish(.targetFailed) }
        case .ports:
            localFailures += 1
        case .descriptors:
            localFailures += 1
            finish(.outOfDescriptors)
        case .local:
            localFailures += 1
            finish(.localError)
        }
        proceed(now: now, &actions)
    }

    /// A connection that was open has closed.
    mutating func closed(source: Int, now: Instant, _ actions: inout [Action]) {
        guard open > 0 else { return }
        closed += 1
        sources.closed(source)
        if end == nil { proceed(now: now, &actions) }
    }

    /// Opens no more. The adapter drops the dials under way without a report.
    mutating func stop() {
        finish(.stopped)
    }

    // MARK: - Private

    private mutating func finish(_ reason: End) {
        if end == nil { end = reason }
    }

    private mutating func take(_ slot: Int) -> Dial? {
        guard dials.indices.contains(slot), let dial = dials[slot] else { return nil }
        dials[slot] = nil
        freeSlots.append(slot)
        return dial
    }

    /// Dials while there is room; says when nothing will happen any more.
    private mutating func proceed(now: Instant, _ actions: inout [Action]) {
        while end == nil, !freeSlots.isEmpty {
            if opened + dialing >= configuration.maximum ?? .max {
                if dialing == 0 { finish(.maximumReached) }
                break
            }
            if open + dialing >= configuration.descriptors {
                if dialing == 0 { finish(.outOfDescriptors) }
                break
            }
            guard let source = sources.take() else {
                if dialing == 0 { finish(sources.isBelowLimit ? .outOfPorts : .sourcesFull) }
                break
            }
            guard let slot = freeSlots.popLast() else { break }
            dials[slot] = Dial(start: now, source: source)
            load.started(now: now)
            actions.append(.dial(slot: slot, source: configuration.sources == 0 ? nil : source))
        }
        if open > ProbeLoad.modestEntries, !hasWarned {
            hasWarned = true
            actions.append(
                .warned(
                    "More than \(ProbeLoad.modestEntries) connections are open, each an entry of "
                        + "every connection-tracking table on the way; --stress-max lowers it"))
        }
        if let end, dialing == 0 { actions.append(.finished(end)) }
    }
}
