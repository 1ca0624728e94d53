import Pacing

/// What is known about every target: the evidence for the moment at which it opened (or closed),
/// and the bounds that follow from it.
///
/// The claim behind each result is that the true moment lies in [notBefore, moment].
///
/// *Opening* (`allow`). `moment` is when the first 200 arrived, so the target was open by then. A
/// probe counts as evidence that it was closed *at the probe's start* when
/// - it was refused, reset, unreachable or answered otherwise, or
/// - it stayed unanswered for its whole timeout; or, with less patience once the target has
///   answered or slots run short, for much longer than any round trip seen, or
/// - it was answered, but only after the kernel had sent the SYN again: the first one was dropped.
/// `notBefore` is the youngest such start. A probe that merely had not been answered *yet* when a
/// later one succeeded is left to fly on: it may only have been slow.
/// A failure younger than an answered probe is not believed: that probe's SYN passed, so the later
/// one was lost on the way.
///
/// *Closing* (`deny`) is the mirror image: `notBefore` is the youngest start of an answered probe
/// (its SYN passed after that), and `moment` the earliest of the failures since: when its rejection
/// arrived, or, for a silent one, its start plus the time that a SYN may take to arrive.
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
        /// Whether the answer came to the first SYN, not to one sent again.
        var answerWasClean = false
        var reason = ProbeFailure.timedOut
        var suspicions: UInt16 = 0
        var attempts: UInt32 = 0
        var failures: UInt32 = 0
        var failuresInRow: UInt32 = 0
        /// All in nanoseconds of the loop's clock; 0 stands for "never".
        var lowerBound: UInt64 = 0
        var moment: UInt64 = 0
        var answerStart: UInt64 = 0
        var connectNanoseconds: UInt64 = 0
    }

    /// The outcome of one target.
    struct Result: Equatable, Sendable {
        /// When it opened or closed at the latest.
        let moment: Instant
        /// The latest moment at which it is known to have been as before; nil without evidence.
        let notBefore: Instant?
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
    /// The longest time from a probe's start to its answer, of answers to a first SYN.
    private(set) var longestRoundTrip = Duration.zero

    init(targets count: Int, expectation: PolicyExpectation, attempts: Int) {
        self.expectation = expectation
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

    mutating func launched(_ target: Int) {
        probes += 1
        targets[target].attempts &+= 1
    }

    /// Books a failed probe: evidence, counts, and what follows from them.
    mutating func failed(
        _ flight: Flight, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction]
    ) {
        failures[Int(reason.rawValue)] += 1
        guard reason != .local else { return }
        let target = Int(flight.target)
        let wasSettled = targets[target].phase == .settled
        switch expectation {
        case .allow: recordClosed(at: flight.start, target)
        case .deny: suspect(flight, reason, now: now, &actions)
        }
        guard !wasSettled else { return }
        targets[target].failures &+= 1
        targets[target].failuresInRow &+= 1
        actions.append(
            .failed(target: target, reason: reason, count: Int(targets[target].failures)))
        if targets[target].failuresInRow == attemptsLimit, !targets[target].isInFailedQueue,
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
        let clean = !flight.retransmitted
        answers += 1
        if clean { longestRoundTrip = max(longestRoundTrip, now - flight.start) }
        switch expectation {
        case .allow:
            if !clean { recordClosed(at: flight.start, target) }
            guard targets[target].phase == .waiting else { return }
            targets[target].phase = .settled
            targets[target].answerWasClean = clean
            targets[target].answerStart = flight.start.nanoseconds
            targets[target].moment = now.nanoseconds
            targets[target].connectNanoseconds = flight.connectNanoseconds
            pending -= 1
            actions.append(.answered(target: target))
        case .deny:
            guard targets[target].phase != .settled else { return }
            if targets[target].phase == .waiting {
                targets[target].phase = .answering
                actions.append(.answered(target: target))
            }
            targets[target].lowerBound = max(
                targets[target].lowerBound, flight.start.nanoseconds)
            targets[target].suspicions = 0
        }
        targets[target].failuresInRow = 0
    }

    /// The target was closed when a probe of it started.
    private mutating func recordClosed(at start: Instant, _ target: Int) {
        let entry = targets[target]
        if entry.phase == .settled, entry.answerWasClean, start.nanoseconds >= entry.answerStart {
            return
        }
        targets[target].lowerBound = max(entry.lowerBound, start.nanoseconds)
    }

    /// A probe of an answering target failed: the target has closed if enough others agree.
    private mutating func suspect(
        _ flight: Flight, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction]
    ) {
        let target = Int(flight.target)
        // Established means let through; only a SYN that was turned away speaks for a closing.
        guard targets[target].phase == .answering, !flight.isConnected, reason != .unanswered,
            flight.start.nanoseconds > targets[target].lowerBound
        else { return }
        let arrivedBy =
            reason == .timedOut ? min(flight.start + longestRoundTrip * 2, now) : now
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
