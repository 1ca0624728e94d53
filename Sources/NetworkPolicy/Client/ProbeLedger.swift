import Pacing
import Telemetry

/// What is known about every target: the evidence for the moment at which it opened (or closed),
/// and the bounds that follow from it.
///
/// The claim behind each result is that the true moment lies in [notBefore, moment].
///
/// A policy decides about a connection's SYN: **an established connection was let through**,
/// whatever became of it afterwards. One that is never answered, is reset, or is answered otherwise
/// than with 200 is a failed probe of a slow or broken target, and no evidence of a closed one.
///
/// *Opening* (`allow`). `moment` is when the first 200 arrived, `connectedAt` when the first
/// connection stood: the policy let the target be reached by then. A probe counts as evidence that
/// it was closed *at the probe's start* when its first SYN was not let through:
/// - it was refused, reset or unreachable without a connection, or
/// - it had no connection for its whole timeout; or, with less patience once the target has
///   answered or slots run short, for much longer than recent round trips, or
/// - its connection stood, but only after the kernel had sent the SYN again: the first was dropped.
/// `notBefore` is the youngest such start. A probe that merely had no connection *yet* when a later
/// one succeeded is left to fly on: it may only have been slow.
/// A failure younger than a probe that was let through is not believed: that one's SYN passed, so
/// the later one was lost on the way.
///
/// *Closing* (`deny`) is the mirror image: `notBefore` is the youngest start of a probe that was
/// let through (its SYN passed after that), and `moment` the earliest of the failures since: when
/// its rejection arrived, or, for a silent one, its start plus the time that a SYN may take to
/// arrive.
///
/// A name that does not resolve, and trouble of this machine, is no evidence of anything.
///
/// A path that loses packets makes a lost probe look like a closed policy, so that a bound is wrong
/// with at most the chance of that loss.
struct ProbeLedger: Sendable {
    enum Phase: UInt8, Sendable {
        /// `allow`: not answered yet; `deny`: not answered even once.
        case waiting
        /// `deny`: answering, not closed yet.
        case answering
        /// Opened, or closed: there is a result.
        case settled
    }

    struct Target: Sendable {
        var phase = Phase.waiting
        var isInFailedQueue = false
        var reason = ProbeFailure.timedOut
        var suspicions: UInt16 = 0
        var attempts: UInt32 = 0
        var failures: UInt32 = 0
        var failuresInRow: UInt32 = 0
        /// All in nanoseconds of the loop's clock; 0 stands for "never".
        var lowerBound: UInt64 = 0
        var moment: UInt64 = 0
        /// When its first connection stood.
        var connectedAt: UInt64 = 0
        /// When the oldest SYN that was let through had left at the latest (`allow`).
        var passedStart: UInt64 = 0
        var connectNanoseconds: UInt64 = 0
    }

    /// The outcome of one target.
    struct Result: Equatable, Sendable {
        /// When it opened or closed at the latest.
        let moment: Instant
        /// The latest moment at which it is known to have been as before; nil without evidence.
        let notBefore: Instant?
        /// When the first connection to it stood; nil for a closing.
        let connectedAt: Instant?
        /// Probes started until the outcome, its own included.
        let attempts: Int
        /// How long the deciding probe took to connect; nil for a closing.
        let connect: Duration?
        /// For a closing: what the first probe of the closed target met.
        let reason: ProbeFailure?

        /// How wide the bounds are.
        var uncertainty: Duration? { notBefore.map { moment - $0 } }
    }

    let expectation: PolicyExpectation
    /// Failures in a row until a target counts as failed, or as closed.
    let attemptsLimit: Int
    private(set) var targets: [Target]

    /// Targets without a result.
    private(set) var pending: Int
    /// Targets that have been in the failed queue.
    private(set) var failedTargets = 0
    /// Probes started.
    private(set) var probes = 0
    /// Probes answered with 200, also those of targets that have their result.
    private(set) var answers = 0
    /// Failed probes by reason, in the order of ``ProbeFailure``.
    private(set) var failures = [Int](repeating: 0, count: ProbeFailure.allCases.count)
    /// From a probe's start to its answer, of answers to a first SYN.
    private var roundTrips = RoundTripWindow()
    /// What the probes ask of the network.
    private(set) var load: ProbeLoad

    /// - Parameter load: that of the runs before.
    init(
        targets count: Int, expectation: PolicyExpectation, attempts: Int,
        load: ProbeLoad = ProbeLoad()
    ) {
        self.expectation = expectation
        self.load = load
        attemptsLimit = max(attempts, 1)
        targets = [Target](repeating: Target(), count: count)
        pending = count
    }

    var count: Int { targets.count }

    subscript(target: Int) -> Result? {
        let entry = targets[target]
        guard entry.phase == .settled else { return nil }
        return Result(
            moment: Instant(nanoseconds: entry.moment),
            notBefore: entry.lowerBound == 0 ? nil : Instant(nanoseconds: entry.lowerBound),
            connectedAt: entry.connectedAt == 0 ? nil : Instant(nanoseconds: entry.connectedAt),
            attempts: Int(entry.attempts),
            connect: expectation == .allow ? .nanoseconds(Int64(entry.connectNanoseconds)) : nil,
            reason: expectation == .deny ? entry.reason : nil)
    }

    /// Probes of a target started so far.
    func attempts(of target: Int) -> Int { Int(targets[target].attempts) }

    func isSettled(_ target: Int) -> Bool { targets[target].phase == .settled }

    /// Whether the target has answered and not stopped to (`deny`).
    func isAnswering(_ target: Int) -> Bool { targets[target].phase == .answering }

    /// Whether a probe of this target has just failed that had been answering: the first hint of a
    /// closing.
    func isSuspect(_ target: Int) -> Bool {
        targets[target].phase == .answering && targets[target].suspicions > 0
    }

    /// The longest recent round trip; nil before the first answer.
    var longestRoundTrip: Duration? { roundTrips.longest }

    /// The bounds of all results so far: the widest, nil where no result has a lower bound, and how
    /// many have none.
    var uncertainty: (largest: Duration?, unbounded: Int) {
        var (largest, unbounded) = (Duration?.none, 0)
        for target in targets.indices {
            guard let result = self[target] else { continue }
            guard let width = result.uncertainty else {
                unbounded += 1
                continue
            }
            largest = max(largest ?? width, width)
        }
        return (largest, unbounded)
    }

    /// - Parameter flag: the one that lowers the load.
    mutating func launched(
        _ target: Int, lowerLoad flag: String, now: Instant, _ actions: inout [ProbeAction]
    ) {
        probes += 1
        targets[target].attempts &+= 1
        load.started(now: now)
        if let warning = load.warning(flag: flag) { actions.append(.loadIsHigh(warning: warning)) }
    }

    /// Books that the policy let a probe through.
    mutating func connected(_ flight: Flight, now: Instant) {
        load.answered(startedAt: flight.start, now: now)
        letThrough(flight, now: now)
    }

    /// Books a failed probe: evidence, counts, and what follows from them.
    mutating func failed(
        _ flight: Flight, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction]
    ) {
        let reason = flight.isResolving && reason != .local ? .unresolved : reason
        failures[Int(reason.rawValue)] += 1
        if !flight.isConnected, reason.leavesNoEntry {
            load.answered(startedAt: flight.start, now: now)
        }
        guard reason != .local else { return }
        let target = Int(flight.target)
        let wasSettled = targets[target].phase == .settled
        // Established means let through; and who was never asked has not turned anybody away.
        if !flight.isConnected, reason != .unresolved {
            switch expectation {
            case .allow: recordClosed(at: flight.start, target)
            case .deny: suspect(flight, reason, now: now, &actions)
            }
        }
        guard !wasSettled else { return }
        targets[target].failures &+= 1
        if reason != .unresolved { targets[target].failuresInRow &+= 1 }
        actions.append(
            .failed(target: target, reason: reason, count: Int(targets[target].failures)))
        if reason != .unresolved, targets[target].failuresInRow == attemptsLimit,
            !targets[target].isInFailedQueue,
            expectation == .allow
        {
            targets[target].isInFailedQueue = true
            failedTargets += 1
            actions.append(.movedToFailedQueue(target: target))
        }
    }

    /// Books a 200.
    mutating func answered(_ flight: Flight, now: Instant, _ actions: inout [ProbeAction]) {
        let target = Int(flight.target)
        answers += 1
        if !flight.retransmitted { roundTrips.observe(now - flight.start, now: now) }
        if !flight.isConnected { letThrough(flight, now: now) }
        switch expectation {
        case .allow:
            guard targets[target].phase == .waiting else { return }
            targets[target].phase = .settled
            targets[target].moment = now.nanoseconds
            targets[target].connectNanoseconds = flight.connectNanoseconds
            pending -= 1
            actions.append(.answered(target: target))
        case .deny:
            if targets[target].phase == .waiting {
                targets[target].phase = .answering
                actions.append(.answered(target: target))
            }
        }
        targets[target].failuresInRow = 0
    }

    private mutating func letThrough(_ flight: Flight, now: Instant) {
        let (target, start) = (Int(flight.target), flight.start.nanoseconds)
        let entry = targets[target]
        switch expectation {
        case .allow:
            if entry.connectedAt == 0 { targets[target].connectedAt = now.nanoseconds }
            if flight.retransmitted { recordClosed(at: flight.start, target) }
            // Of a SYN that was sent again it is known that it had left by now.
            let passed = flight.retransmitted ? now.nanoseconds : start
            if entry.passedStart == 0 || passed < entry.passedStart {
                targets[target].passedStart = passed
            }
        case .deny:
            guard entry.phase != .settled else { return }
            targets[target].lowerBound = max(entry.lowerBound, start)
            targets[target].suspicions = 0
        }
    }

    /// The target was closed when a probe of it started.
    private mutating func recordClosed(at start: Instant, _ target: Int) {
        let entry = targets[target]
        guard entry.passedStart == 0 || start.nanoseconds < entry.passedStart else { return }
        targets[target].lowerBound = max(entry.lowerBound, start.nanoseconds)
    }

    /// A probe of an answering target failed: the target has closed if enough others agree.
    private mutating func suspect(
        _ flight: Flight, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction]
    ) {
        let target = Int(flight.target)
        guard targets[target].phase == .answering, reason != .unanswered,
            flight.start.nanoseconds > targets[target].lowerBound
        else { return }
        let arrivedBy =
            reason == .timedOut
            ? min(flight.clock + (longestRoundTrip ?? .zero) * 2, now) : now
        if targets[target].suspicions == 0 || arrivedBy.nanoseconds < targets[target].moment {
            targets[target].moment = arrivedBy.nanoseconds
            targets[target].reason = reason
        }
        targets[target].suspicions &+= 1
        guard targets[target].suspicions >= attemptsLimit else { return }
        targets[target].phase = .settled
        pending -= 1
        actions.append(.denied(target: target))
    }
}

extension ProbeFailure {
    /// Whether a probe that ended so without a connection holds no connection-tracking entry: its
    /// SYN was answered, or none was sent.
    fileprivate var leavesNoEntry: Bool {
        switch self {
        case .refused, .reset, .unresolved, .local: true
        case .unreachable, .timedOut, .unanswered, .status, .malformed: false
        }
    }
}
