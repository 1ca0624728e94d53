import Pacing

/// The life of a server's connection: what it waits for and for how long, whether it reads, and
/// how it ends. What its bytes mean is ``ServerMessageMachine``'s; whoever has both tells this one
/// where that one stands.
///
///     state       input                                    next        order; deadline
///     –           start                                    head        read; head
///     open*       settle: the peer takes no more for now   blocked     pause; write
///     open*       settle: a handler has paused content     answering   pause; none
///     open*       settle: an answer is outstanding         answering   none; kept bytes pause
///     open*       settle: a head is on its way             head        head, from its beginning
///     open*       settle: content is on its way            body        body, from each piece
///     body        settle: longer in all than it may take   body        refuse
///     open*       settle: between two requests             idle        release; idle
///     open*       the same, the server is leaving          finishing   close after writing
///     open*       settle: the rest will not come           as it was   end of input
///     head, body  the deadline                             as it was   refuse
///     idle        the deadline, 8 times                    idle        idle, once more
///     idle        the deadline, the 9th time               finishing   close after writing
///     blocked     the deadline, the peer took something    blocked     write, once more
///     blocked     the deadline, the peer took nothing      gone        abort
///     lingering   the deadline, or the peer's end          finishing   close after writing
///     finishing   the queue was not empty                  finishing   write
///     finishing   the deadline                             as in blocked
///     open*       the peer's end, nothing under way        finishing   close after writing
///     answering,  the peer's end                           as it was   half-closed
///     blocked
///     open*       finish, more comes or may come           lingering   linger; linger
///     open*       finish                                   finishing   close after writing
///     any         the connection broke                     gone        close
///     any         finish, what was sent is not whole       gone        abort
///
/// `open` is answering, head, body, idle or blocked. Orders tell what changes, and nothing where
/// all stays as it is. A deadline runs from the moment at which it is ordered, how long depends on
/// its kind alone, and so thousands of connections share a queue for each kind. Slow is not dead:
/// a peer is given up when it took not a single byte from one write deadline to the next, so
/// between one and two of them after its last byte, however large a single write is.
public struct ServerConnectionMachine: Sendable {
    @usableFromInline
    enum State: Equatable, Sendable {
        /// The next move is this side's.
        case answering
        case head
        /// However steadily content trickles, it has to be complete by then.
        case body(endsBy: Instant)
        /// How many idle deadlines have passed since the last request.
        case idle(rounds: UInt8)
        /// The peer has to take what is queued before more is made. What it had taken when last
        /// looked at; -1: it is known to have taken something since.
        case blocked(taken: Int64)
        /// Nothing more is written: bytes that come are thrown away until the peer is done.
        case lingering
        /// All is written; what is queued is still going out.
        case finishing(taken: Int64)
        case gone
    }

    /// Which deadline runs; one at a time.
    @frozen
    public enum Deadline: UInt8, CaseIterable, Sendable {
        case none, head, body, idle, write, linger
    }

    /// What to do with the deadline.
    @frozen
    public enum Timing: Equatable, Sendable {
        /// Leave it as it is.
        case keep
        /// Let the one that runs begin anew.
        case restart(Deadline)
        /// Withdraw one and start another; either may be `none`.
        case replace(Deadline, with: Deadline)
    }

    /// What to do with the connection.
    @frozen
    public enum Step: Equatable, Sendable {
        /// Nothing.
        case goOn
        /// Nothing is under way: what a request needs may go.
        case release
        /// Answer 408 if no answer has begun, and then `finish`, lingering.
        case refuse
        /// Let the message machine know that no more comes, and then `finish`.
        case endInput
        /// Tell the handler that the peer sends no more; the answer under way may be the last.
        case halfClosed(isLast: Bool)
        /// Send what is written, end this side's direction, and read on.
        case linger
        /// Send what is written and close; if something is queued then, say `queued`.
        case closeAfterWriting
        /// Drop what is written and reset.
        case abort
        /// Drop what is written and close.
        case close
    }

    /// What follows from an input; nothing of it means that all stays as it is.
    @frozen
    public struct Orders: Equatable, Sendable {
        /// Whether to read from now on; nil: as it is.
        public var reads: Bool?
        /// What becomes of the deadline.
        public var timing = Timing.keep
        /// What becomes of the connection.
        public var step = Step.goOn

        /// Of what is not given, all stays as it is.
        @inlinable
        public init(reads: Bool? = nil, timing: Timing = .keep, step: Step = .goOn) {
            self.reads = reads
            self.timing = timing
            self.step = step
        }
    }

    /// Where the messages stand, and what else decides how to go on.
    @frozen
    public struct Standing: Sendable {
        /// What the message machine waits for.
        public var awaits: ConnectionDeadline
        /// More is queued for the peer than it takes.
        public var isBackpressured = false
        /// A handler has paused the content that it gets.
        public var isPaused = false
        /// Bytes are kept that nobody has consumed.
        public var keepsBytes = false
        /// A handler takes content in slices: how long that takes in all is its own affair.
        public var isStreamed = false
        /// The server is going, and nothing lies unread.
        public var isLeaving = false

        /// Where nothing is in the way.
        @inlinable
        public init(awaits: ConnectionDeadline) { self.awaits = awaits }
    }

    /// Idle, it closes after so many deadlines, of which one fewer are the idle time: so between
    /// that and an eighth more. A request then pays a store for its deadline.
    public static let idleRounds: UInt8 = 9

    /// Its first answer from then on is the last; never, where there is no limit.
    @usableFromInline let oldAt: Instant
    // In this order they are three words, and there are thousands of them.
    @usableFromInline var state = State.head
    @usableFromInline var peerHasEnded = false
    @usableFromInline var isReading = false
    @usableFromInline var running = Deadline.none
    @usableFromInline var requestCount: UInt32 = 0

    /// - Parameter age: after which the next answer is the last; nil for never.
    public init(maximumAge age: Duration?, now: Instant) {
        oldAt = age.map { now + $0 } ?? Instant(nanoseconds: .max)
    }

    /// Which deadline runs.
    public var deadline: Deadline { running }

    /// Whether bytes that come are still for the messages.
    @inlinable
    public var isOpen: Bool {
        switch state {
        case .answering, .head, .body, .idle, .blocked: true
        case .lingering, .finishing, .gone: false
        }
    }

    /// Whether it is over, and nothing goes out any more.
    public var isGone: Bool { state == .gone }

    /// Whether it has had a request.
    @inlinable public var hasServed: Bool { requestCount > 0 }

    /// Whether its next answer is to be the last. The clock is read only where there is a limit.
    @inlinable
    public func isOld(now: @autoclosure () -> Instant) -> Bool {
        oldAt.nanoseconds != .max && now() >= oldAt
    }

    // MARK: Requests

    /// Accepted.
    public mutating func start() -> Orders { enter(.head, .head, reads: true) }

    /// A head is complete.
    ///
    /// - Parameter limit: how many requests a connection may have.
    /// - Returns: whether this one is the last.
    @inlinable
    public mutating func requestBegan(limit: UInt32) -> Bool {
        requestCount &+= 1
        // The time that its content may take in all is its own.
        if case .body = state { state = .answering }
        return requestCount >= limit
    }

    /// What was read has been worked through, and what was written has gone to the stream.
    ///
    /// - Parameters:
    ///   - contentDuration: what content may take in all.
    ///   - taken: what the peer has taken so far of what is queued, up to a constant.
    @inlinable
    public mutating func settle(
        _ standing: Standing, now: @autoclosure () -> Instant, contentDuration: Duration,
        taken: @autoclosure () -> Int64
    ) -> Orders {
        guard isOpen else { return Orders() }
        if standing.isBackpressured {
            if case .blocked = state { return Orders() }
            return enter(.blocked(taken: taken()), .write, reads: false)
        }
        if standing.isPaused { return enter(.answering, .none, reads: false) }
        if peerHasEnded, standing.awaits != .none { return Orders(step: .endInput) }
        switch standing.awaits {
        case .none: return enter(.answering, .none, reads: !standing.keepsBytes)
        case .head: return enter(.head, .head, reads: true)
        case .body:
            return awaitContent(now(), contentDuration, isStreamed: standing.isStreamed)
        case .idle:
            if standing.isLeaving { return finish(.close, keepsBytes: standing.keepsBytes) }
            var orders = enter(.idle(rounds: 0), .idle, reads: true)
            if !standing.keepsBytes { orders.step = .release }
            return orders
        }
    }

    /// Each piece of content starts its deadline anew; all of it has one of its own.
    @usableFromInline
    mutating func awaitContent(_ now: Instant, _ duration: Duration, isStreamed: Bool) -> Orders {
        var end = isStreamed ? Instant(nanoseconds: .max) : now + duration
        if case .body(let known) = state {
            if now >= known { return Orders(step: .refuse) }
            end = min(end, known)
        }
        let isRunning = running == .body
        var orders = enter(.body(endsBy: end), .body, reads: true)
        if isRunning { orders.timing = .restart(.body) }
        return orders
    }

    // MARK: Time

    /// The deadline that ran has passed.
    ///
    /// - Parameters:
    ///   - hasBegun: whether anything of a request has come.
    ///   - taken: as in `settle`.
    public mutating func deadlinePassed(
        hasBegun: Bool, taken: @autoclosure () -> Int64
    ) -> Orders {
        running = .none
        switch state {
        case .answering, .gone: return Orders()
        case .head, .body:
            return hasBegun ? Orders(step: .refuse) : finish(.close, keepsBytes: false)
        case .idle(let rounds):
            let passed = rounds + 1
            if passed == Self.idleRounds { return finish(.close, keepsBytes: false) }
            return enter(.idle(rounds: passed), .idle, reads: isReading)
        case .blocked(let before):
            let taken = taken()
            if taken <= before { return finish(.abort, keepsBytes: false) }
            return enter(.blocked(taken: taken), .write, reads: isReading)
        case .finishing(let before):
            let taken = taken()
            if taken <= before { return finish(.abort, keepsBytes: false) }
            return enter(.finishing(taken: taken), .write, reads: isReading)
        case .lingering:
            return finishWriting()
        }
    }

    /// The queue became shorter, or empty: nothing else need be known of this round.
    public mutating func advanced() {
        switch state {
        case .blocked: state = .blocked(taken: -1)
        case .finishing: state = .finishing(taken: -1)
        case .answering, .head, .body, .idle, .lingering, .gone: break
        }
    }

    // MARK: Ends

    /// The peer sends nothing more. It may still read.
    ///
    /// - Parameter standing: nil where nothing is under way.
    public mutating func peerEnded(_ standing: Standing?) -> Orders {
        peerHasEnded = true
        isReading = false
        switch state {
        case .finishing, .gone: return Orders()
        case .lingering: return finishWriting()
        case .answering, .head, .body, .idle, .blocked:
            guard let standing else { return finish(.close, keepsBytes: false) }
            if standing.awaits == .none {
                return Orders(step: .halfClosed(isLast: !standing.keepsBytes))
            }
            return standing.isBackpressured || standing.isPaused
                ? Orders() : Orders(step: .endInput)
        }
    }

    /// The connection broke.
    public mutating func peerFailed() -> Orders {
        peerHasEnded = true
        return over(.close)
    }

    /// The server is going. What is under way has its answer first.
    ///
    /// - Parameters:
    ///   - isIdle: whether no request is under way.
    ///   - unreadBytes: what the peer has sent that nobody has read.
    public mutating func drain(isIdle: Bool, unreadBytes: @autoclosure () -> Int) -> Orders {
        guard isOpen, isIdle, unreadBytes() == 0 else { return Orders() }
        return finish(.close, keepsBytes: false)
    }

    /// Ends the connection in the way that the messages ask for.
    ///
    /// - Parameter keepsBytes: bytes that nobody reads would make the kernel reset the connection.
    public mutating func finish(_ after: AfterResponse, keepsBytes: Bool) -> Orders {
        if state == .gone { return Orders() }
        switch after {
        case .keep: return Orders()
        case .abort: return over(.abort)
        case .close, .closeLingering:
            guard after == .closeLingering || keepsBytes, !peerHasEnded else {
                return finishWriting()
            }
            var orders = enter(.lingering, .linger, reads: true)
            orders.step = .linger
            return orders
        }
    }

    /// Not all could be written at once before closing.
    public mutating func queued(taken: Int64) -> Orders {
        enter(.finishing(taken: taken), .write, reads: isReading)
    }

    /// The stream is closed, for whatever reason.
    public mutating func closed() -> Orders { over(.goOn) }

    private mutating func finishWriting() -> Orders {
        var orders = enter(.finishing(taken: -1), .none, reads: true)
        orders.step = .closeAfterWriting
        return orders
    }

    private mutating func over(_ step: Step) -> Orders {
        var orders = enter(.gone, .none, reads: isReading)
        orders.step = step
        return orders
    }

    /// The next state, and what changes with it.
    @inlinable
    mutating func enter(_ next: State, _ wanted: Deadline, reads: Bool) -> Orders {
        state = next
        var orders = Orders()
        if wanted != running {
            orders.timing = .replace(running, with: wanted)
            running = wanted
        }
        if reads != isReading, !peerHasEnded {
            isReading = reads
            orders.reads = reads
        }
        return orders
    }
}
