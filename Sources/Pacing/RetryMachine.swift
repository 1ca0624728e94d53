/// How long to wait between attempts: doubling from `initial` to `maximum`, minus a random share,
/// so that many who failed together do not come back together.
public struct Backoff: Sendable, Equatable {
    /// The wait after the first failure.
    public var initial: Duration
    /// No wait is longer.
    public var maximum: Duration
    /// The share of a wait that chance may take away, 0 to 1.
    public var jitter: Double

    /// - Precondition: the waits do not shrink, and `jitter` is a share.
    public init(
        initial: Duration = .milliseconds(100), maximum: Duration = .seconds(5),
        jitter: Double = 0.5
    ) {
        precondition(initial >= .zero && maximum >= initial, "waits must not shrink or be negative")
        precondition(0...1 ~= jitter, "jitter is a share, 0 to 1")
        self.initial = initial
        self.maximum = maximum
        self.jitter = jitter
    }

    /// The wait after the failure with this number, counted from one.
    public func delay(afterFailure number: Int, using random: inout SeededRandom) -> Duration {
        // The number of doublings that could matter is bounded, whatever the number of failures.
        var delay = initial
        for _ in 0..<max(0, min(64, number - 1)) { delay = min(delay * 2, maximum) }
        guard jitter > 0, delay > .zero else { return delay }
        let share = Double.random(in: 0...jitter, using: &random)
        return delay - .nanoseconds(Int64(Double(delay.nanoseconds) * share))
    }
}

/// Tries one thing until it succeeds, is given up, or is stopped.
///
/// Pure: it is told what happened and what time it is, and answers with what to do. Late news of an
/// attempt that it has already cancelled is ignored, so each event names its attempt.
///
///     state        event              next state   actions
///     idle         start              attempting   attempt(1)
///     attempting   succeeded          done         –
///     attempting   failed             waiting      – (or gaveUp, then done)
///     attempting   deadline           waiting      cancel (or cancel, gaveUp, then done)
///     waiting      deadline           attempting   attempt(n + 1)
///     any          stop               done         cancel when attempting
///
/// It is given up after `attempts` failures, or once no further attempt could begin within
/// `giveUpAfter` of the start.
public struct RetryMachine: Machine, Sendable {
    /// How long and how often to try.
    public struct Policy: Sendable, Equatable {
        /// How many attempts may fail; nil for any number.
        public var attempts: Int?
        /// How long one attempt may take.
        public var timeout: Duration
        /// How long after the start an attempt may still begin; nil for ever.
        public var giveUpAfter: Duration?
        /// The waits between attempts.
        public var backoff: Backoff

        /// - Precondition: `attempts` is at least one, or nil.
        public init(
            attempts: Int? = nil, timeout: Duration, giveUpAfter: Duration? = nil,
            backoff: Backoff = Backoff()
        ) {
            precondition((attempts ?? 1) > 0, "there must be at least one attempt")
            self.attempts = attempts
            self.timeout = timeout
            self.giveUpAfter = giveUpAfter
            self.backoff = backoff
        }
    }

    /// What is to be done.
    public enum Action: Equatable, Sendable {
        /// Begin the attempt with this number, counted from one.
        case attempt(Int)
        /// Abandon it; it counts as failed.
        case cancel(Int)
        /// There will be no further attempt.
        case gaveUp
    }

    private enum State: Equatable {
        case idle
        case attempting(number: Int, until: Instant)
        case waiting(number: Int, until: Instant)
        case done
    }

    /// How long and how often it tries.
    public let policy: Policy
    /// When it is given up for lack of time; known from the start on.
    public private(set) var giveUpAt: Instant?
    private var state = State.idle
    private var random: SeededRandom

    /// A machine that waits for its start.
    /// - Parameter seed: of what chance takes off its waits.
    public init(policy: Policy, seed: UInt64 = 0) {
        self.policy = policy
        random = SeededRandom(seed: seed)
    }

    /// The moment at which `tick` wants to be called; nil while nothing is pending.
    public var nextDeadline: Instant? {
        switch state {
        case .idle, .done: nil
        case .attempting(_, let until), .waiting(_, let until): until
        }
    }

    /// The attempts begun so far.
    public var attempts: Int {
        switch state {
        case .idle, .done: 0
        case .attempting(let number, _), .waiting(let number, _): number
        }
    }

    /// Begins the first attempt; once.
    public mutating func start(now: Instant, _ actions: inout [Action]) {
        guard state == .idle else { return }
        giveUpAt = policy.giveUpAfter.map { now + $0 }
        attempt(1, now: now, &actions)
    }

    /// False when this attempt is no longer awaited.
    @discardableResult
    public mutating func succeeded(attempt: Int) -> Bool {
        guard isAwaiting(attempt) else { return false }
        state = .done
        return true
    }

    /// False when this attempt is no longer awaited.
    @discardableResult
    public mutating func failed(attempt: Int, now: Instant, _ actions: inout [Action]) -> Bool {
        guard isAwaiting(attempt) else { return false }
        waitOrGiveUp(after: attempt, now: now, &actions)
        return true
    }

    /// Does what is due. Calling it late is harmless: a retry begins when it is called, unless the
    /// time to give up has come.
    public mutating func tick(now: Instant, _ actions: inout [Action]) {
        guard let deadline = nextDeadline, now >= deadline else { return }
        switch state {
        case .idle, .done: break
        case .attempting(let number, _):
            actions.append(.cancel(number))
            waitOrGiveUp(after: number, now: now, &actions)
        case .waiting(let number, _):
            if let giveUpAt, now >= giveUpAt {
                state = .done
                actions.append(.gaveUp)
            } else {
                attempt(number + 1, now: now, &actions)
            }
        }
    }

    /// The attempt under way may take until `moment`.
    public mutating func extendAttempt(until moment: Instant) {
        if case .attempting(let number, let until) = state {
            state = .attempting(number: number, until: max(until, moment))
        }
    }

    /// Ends it; nothing follows.
    public mutating func stop(_ actions: inout [Action]) {
        if case .attempting(let number, _) = state { actions.append(.cancel(number)) }
        state = .done
    }

    private func isAwaiting(_ attempt: Int) -> Bool {
        if case .attempting(attempt, _) = state { return true }
        return false
    }

    private mutating func attempt(_ number: Int, now: Instant, _ actions: inout [Action]) {
        state = .attempting(number: number, until: now + policy.timeout)
        actions.append(.attempt(number))
    }

    private mutating func waitOrGiveUp(
        after number: Int, now: Instant, _ actions: inout [Action]
    ) {
        let retryAt = now + policy.backoff.delay(afterFailure: number, using: &random)
        let isLast = policy.attempts.map { number >= $0 } ?? false
        if isLast || giveUpAt.map({ retryAt >= $0 }) ?? false {
            state = .done
            actions.append(.gaveUp)
        } else {
            state = .waiting(number: number, until: retryAt)
        }
    }
}
