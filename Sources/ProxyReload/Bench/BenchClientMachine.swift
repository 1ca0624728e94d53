import Pacing

/// When requests are due in the open loop: so many a second by all clients together, evenly spaced,
/// the clients taking turns.
public struct OpenPace: Equatable, Sendable {
    /// When the first request is due.
    public let origin: Instant
    private let spacing: Double

    /// - Parameter rate: requests a second, above zero.
    public init(origin: Instant, rate: Double) {
        precondition(rate > 0, "a rate is above zero")
        self.origin = origin
        spacing = 1e9 / rate
    }

    /// When the request with this number, counted from zero over all clients, is due.
    public func moment(of number: Int) -> Instant {
        // Exact to the nanosecond for the first hundred days.
        origin + .nanoseconds(Int64(exactly: (Double(number) * spacing).rounded()) ?? .max)
    }

    /// How many are due by `now`.
    public func due(by now: Instant) -> Int {
        if now < origin { return 0 }
        var count = Int(Double((now - origin).nanoseconds) / spacing)
        while moment(of: count) <= now { count += 1 }
        while count > 0, moment(of: count - 1) > now { count -= 1 }
        return count
    }
}

/// One keep-alive client: one connection, one request at a time.
///
///     state       event               next                          step
///     idle        start               (turn to the next request)
///     connecting  connected           responding                    send
///     connecting  connectFailed       backingOff                    ended
///     connecting  deadline            backingOff                    ended, drops
///     responding  responded           (turn to the next request)    ended, drops if not reusable
///     responding  received            responding                    –
///     responding  lost                (turn to the next request)    ended, drops
///     responding  deadline            (turn to the next request)    ended, drops
///     backingOff  deadline            (turn to the next request)
///     resting     deadline            (turn to the next request)
///     resting, …  lost                the same, without connection  drops
///     held        release             (turn to the next request)
///     connecting, responding  slept   the same, with a later deadline   –
///     any         event of another    the same                      –
///
/// Turning to the next request: with no more to send `stopped`; while the recorder is full `held`;
/// in the open loop before its time `resting`; else `responding` on the connection it has, or
/// `connecting`. So a client reconnects at once after a failure, and waits (10 ms, doubling to 1 s)
/// only when connecting itself fails. In the open loop requests that became due meanwhile follow
/// one another without a pause, each with the latency since it was due.
public struct BenchClientMachine: Sendable {
    /// Closed: the next request follows the last answer. Open: requests have their times.
    public enum Pace: Equatable, Sendable {
        case closed
        /// The client with this number (from zero) of so many takes every so-manieth request.
        case open(OpenPace, number: Int, of: Int)
    }

    /// Whether another request may begin.
    public enum Permit: Sendable {
        case granted
        /// Later: the recorder cannot take more. `release` follows.
        case held
        /// The test is over.
        case ended
    }

    /// What is to be done now.
    public enum Next: Equatable, Sendable {
        /// Nothing before `nextDeadline`, or before something happens.
        case wait
        /// A request begins: connect, then report.
        case connect
        /// A request begins: send it on the connection.
        case send
        /// Send the request that began with the connecting.
        case sendFirst
        /// Nothing ever again: let go of the connection.
        case stop
    }

    /// What an event came to.
    public struct Step: Equatable, Sendable {
        /// The start of the request that ended with this event; nil when none did.
        public var ended: Instant?
        /// Its outcome, where `ended` is not nil.
        public var outcome = RequestOutcome.other
        /// The connection is of no further use: close it before anything else.
        public var drops = false
        /// What is to be done then.
        public var next = Next.wait
    }

    private enum State: Equatable, Sendable {
        case idle, connecting, responding, resting, backingOff, held, stopped
    }

    /// The first pause after a connect has failed, and the longest.
    public static let backoff = (first: Duration.milliseconds(10), longest: Duration.seconds(1))

    /// Not as `Duration`, whose 128-bit arithmetic would cost more than the rest of a turn.
    private let timeoutNanoseconds: UInt64
    private let pace: Pace
    private var state = State.idle
    private var isConnected = false
    /// Whether the connection has carried an answer, and no byte of another has come.
    private var isReused = false
    /// Of the request under way.
    private var start = Instant(nanoseconds: 0)
    /// When it began here, which in the open loop may be later.
    private var began = Instant(nanoseconds: 0)
    /// The timeout of what is under way, or the end of a pause.
    private var deadline = Instant(nanoseconds: 0)
    private var nextPause = BenchClientMachine.backoff.first
    /// How many requests have begun: in the open loop, the place of the next in the client's own.
    private var begun = 0

    /// - Parameter timeout: for a request as a whole, connecting included.
    public init(pace: Pace, timeout: Duration) {
        self.pace = pace
        timeoutNanoseconds = UInt64(max(timeout.nanoseconds, 0))
    }

    /// When `deadlinePassed` is to be called; nil while nothing is awaited from time.
    public var nextDeadline: Instant? {
        switch state {
        case .connecting, .responding, .backingOff, .resting: deadline
        case .idle, .held, .stopped: nil
        }
    }

    /// Whether a request is under way.
    public var isBusy: Bool { state == .connecting || state == .responding }
    /// Whether it pauses after a failed connect.
    public var isBackingOff: Bool { state == .backingOff }
    /// When its next request is due, while it has nothing else to do; open loop only.
    public var restingUntil: Instant? { state == .resting ? deadline : nil }
    /// Whether it will do nothing any more.
    public var isStopped: Bool { state == .stopped }

    /// Begins.
    public mutating func start(now: Instant, _ permit: Permit) -> Step {
        guard state == .idle else { return Step() }
        return Step(next: turn(now, permit))
    }

    /// The connection that was asked for is there.
    public mutating func connected(now: Instant) -> Step {
        guard state == .connecting else { return Step() }
        isConnected = true
        isReused = false
        nextPause = Self.backoff.first
        state = .responding
        return Step(next: .sendFirst)
    }

    /// The connection that was asked for cannot be had.
    public mutating func connectFailed(_ outcome: RequestOutcome, now: Instant) -> Step {
        guard state == .connecting else { return Step() }
        pause(now)
        return Step(ended: start, outcome: outcome)
    }

    /// The whole response is there.
    ///
    /// - Parameter isReusable: whether the connection may carry another request.
    @inline(__always)
    public mutating func responded(
        _ outcome: RequestOutcome, isReusable: Bool, now: Instant, _ permit: Permit
    ) -> Step {
        guard state == .responding else { return Step() }
        let ended = start
        isConnected = isReusable
        isReused = isReusable
        return Step(
            ended: ended, outcome: outcome, drops: !isReusable, next: turn(now, permit))
    }

    /// Bytes of a response came.
    @inline(__always)
    public mutating func received() { isReused = false }

    /// This process did not run for so long just now: news may have waited, or may not have been
    /// answered. What is under way gets that time again, as it is not the target's.
    public mutating func slept(_ pause: Duration, now: Instant) {
        if isBusy { deadline = deadline + min(pause, max(now - began, .zero)) }
    }

    /// The connection is gone, or what comes over it makes no sense.
    public mutating func lost(
        _ outcome: RequestOutcome, now: Instant, _ permit: Permit
    ) -> Step {
        guard isConnected else { return Step() }
        isConnected = false
        guard state == .responding else { return Step(drops: true) }
        let ended = outcome.ending(reused: isReused)
        return Step(ended: start, outcome: ended, drops: true, next: turn(now, permit))
    }

    /// `nextDeadline` has come; nothing happens before.
    public mutating func deadlinePassed(now: Instant, _ permit: Permit) -> Step {
        guard let deadline = nextDeadline, deadline <= now else { return Step() }
        switch state {
        case .connecting:
            pause(now)
            return Step(ended: start, outcome: .connectTimedOut, drops: true)
        case .responding:
            isConnected = false
            return Step(ended: start, outcome: .timedOut, drops: true, next: turn(now, permit))
        default:
            return Step(next: turn(now, permit))
        }
    }

    /// The recorder can take more.
    public mutating func release(now: Instant, _ permit: Permit) -> Step {
        guard state == .held else { return Step() }
        return Step(next: turn(now, permit))
    }

    /// The test is over: what is under way ends by itself, nothing else begins.
    public mutating func stop() -> Step {
        guard !isBusy, !isStopped else { return Step() }
        state = .stopped
        return Step(drops: isConnected, next: .stop)
    }

    @inline(__always)
    private mutating func turn(_ now: Instant, _ permit: Permit) -> Next {
        guard permit == .granted else {
            state = permit == .held ? .held : .stopped
            return permit == .held ? .wait : .stop
        }
        switch pace {
        case .closed: start = now
        case .open(let pace, let number, let count):
            let due = pace.moment(of: number + begun * count)
            guard due <= now else {
                state = .resting
                deadline = due
                return .wait
            }
            start = due
            begun += 1
        }
        began = now
        deadline = Instant(nanoseconds: now.nanoseconds &+ timeoutNanoseconds)
        state = isConnected ? .responding : .connecting
        return isConnected ? .send : .connect
    }

    private mutating func pause(_ now: Instant) {
        state = .backingOff
        deadline = now + nextPause
        nextPause = min(nextPause * 2, Self.backoff.longest)
    }
}
