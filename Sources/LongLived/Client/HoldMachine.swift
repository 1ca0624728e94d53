import Pacing

/// Keeps so many connections open and one request in flight on each, with pauses between them.
///
///     state      event                      next state   actions
///     queued     room to dial               dialing      dial
///     dialing    opened                     waiting      send
///     dialing    dial failed                backingOff   – (its request is not sent any more, but
///                                                        for what this machine failed of)
///     waiting    answered, to be kept       thinking     – (no request left: done)
///     waiting    answered, to be closed     thinking     close (no request left: done)
///     waiting    lost                       backingOff   –
///     waiting    deadline                   backingOff   timedOut
///     thinking   lost                       thinking     – (the next request needs a dial)
///     thinking   deadline, open             waiting      send
///     thinking   deadline, closed           queued       – (no request left: done)
///     backingOff deadline                   queued       – (no request left: done)
///     any        all done, or the end       –            finished, once
///
/// A request is drawn from the total when its connection turns to it. A dial that fails uses it up,
/// so that a total always comes to its end; one that fails of this machine's own trouble does so
/// only the tenth time in a row. What was sent and lost is not sent again. At any time
/// `sent == answered + lost + inFlight`. What is done stays open to the end.
struct HoldMachine: Machine, Sendable {
    struct Configuration: Sendable {
        /// Connections to hold.
        var connections = 1
        /// The pause between an answer and the next request on its connection.
        var think: ClosedRange<Duration> = .seconds(1) ... .seconds(3)
        /// Requests in all; nil for any number.
        var requests: Int?
        /// From the start to the end; nil for no end.
        var duration: Duration?
        /// Connections opened a second; nil for no limit.
        var openRate: Double?
        /// Dials under way at once.
        var dialing = 64
        /// The longest an answer may take; nil for any time.
        var timeout: Duration?
        /// Before the next dial, after a failure.
        var backoff = Backoff()
        /// Source addresses; 0 leaves the choice to the kernel.
        var sources = 0
        /// Connections at once from one source.
        var perSource = 10_000
        /// Decides about pauses.
        var seed: UInt64 = 0
    }

    enum Action: Equatable, Sendable {
        /// Connect from this source (nil: as the kernel likes) and report.
        case dial(Int, source: Int?)
        /// Send a request on this connection.
        case send(Int)
        /// Close it: its last answer said so.
        case close(Int)
        /// Its answer took too long: break it off.
        case timedOut(Int)
        /// Nothing more is sent or dialed; what is still open is to be closed.
        case finished
    }

    /// What went with a connection.
    enum Loss: Equatable, Sendable {
        /// No request was in flight on it.
        case nothing
        /// A request.
        case request
        /// A request that followed others on it, before the first byte of its answer: the server
        /// may have been closing the connection when it was sent (RFC 9112 §9.3.1).
        case requestOnReused
    }

    private enum Phase: UInt8, Sendable {
        case queued, dialing, waiting, thinking, backingOff, done
    }

    private struct Slot: Sendable {
        var deadline = DeadlineToken.none
        var sentAt = Instant(nanoseconds: 0)
        var source: UInt16 = 0
        var phase = Phase.queued
        var isOpen = false
        /// Whether a request was drawn for it that has not been sent.
        var hasRequest = false
        var wasOpened = false
        /// Whether this connection has answered.
        var isReused = false
        /// In a row.
        var failures: UInt8 = 0
    }

    private let configuration: Configuration
    private var random: SeededRandom
    private var slots: [Slot]
    private var deadlines = DeadlineHeap<UInt32>()
    private var sources: SourceSpread
    /// Connections that want to be dialed, oldest first, from `queueHead` on.
    private var queue: [UInt32] = []
    private var queueHead = 0
    /// When the next dial may begin.
    private var nextDialAt = Instant(nanoseconds: 0)
    private var requestsLeft: Int
    private var doneCount = 0
    private var endAt: Instant?

    /// When it was started.
    private(set) var startedAt: Instant?
    /// When all connections were open for the first time.
    private(set) var allOpenAt: Instant?
    private(set) var isFinished = false
    /// Connections open now.
    private(set) var open = 0
    /// Dials under way.
    private(set) var dialing = 0
    /// Connections opened so far.
    private(set) var opened = 0
    /// Those of them that took the place of an earlier one.
    private(set) var reconnects = 0
    /// Requests sent so far.
    private(set) var sent = 0
    /// Requests that were answered, with whatever status.
    private(set) var answered = 0
    /// Requests that were sent and will not be answered.
    private(set) var lost = 0
    /// Requests in flight now.
    private(set) var inFlight = 0
    /// The most of them at once.
    private(set) var peakInFlight = 0
    /// Connections that the server closed between two requests.
    private(set) var closedIdle = 0
    /// Requests that were not sent, because no connection could be opened for them.
    private(set) var unsent = 0

    /// How far the pace of dialing may fall behind and still be caught up.
    private static let catchUp = Duration.milliseconds(10)
    /// So often in a row may this machine's own trouble keep a request from being sent.
    private static let localAttempts = 10

    init(configuration: Configuration) {
        self.configuration = configuration
        random = SeededRandom(seed: configuration.seed)
        slots = Array(repeating: Slot(), count: max(configuration.connections, 1))
        sources = SourceSpread(count: configuration.sources, perSource: configuration.perSource)
        requestsLeft = configuration.requests ?? .max
    }

    /// The moment at which ``tick(now:_:)`` wants to be called; nil while nothing is pending.
    var nextDeadline: Instant? {
        guard startedAt != nil, !isFinished else { return nil }
        let never = Instant(nanoseconds: .max)
        var next = min(deadlines.nextDeadline ?? never, endAt ?? never)
        if configuration.openRate != nil, canDial { next = min(next, nextDialAt) }
        return next == never ? nil : next
    }

    /// Whether a request is in flight on this connection, or was at the end.
    func isInFlight(_ index: Int) -> Bool { slots[index].phase == .waiting }

    mutating func start(now: Instant, _ actions: inout [Action]) {
        guard startedAt == nil else { return }
        startedAt = now
        nextDialAt = now
        endAt = configuration.duration.map { now + $0 }
        for index in slots.indices { turnToRequest(index, now: now, &actions) }
        proceed(now: now, &actions)
    }

    mutating func opened(_ index: Int, now: Instant, _ actions: inout [Action]) {
        guard isIn(.dialing, index) else { return }
        dialing -= 1
        open += 1
        opened += 1
        if slots[index].wasOpened { reconnects += 1 }
        slots[index].wasOpened = true
        slots[index].isOpen = true
        slots[index].isReused = false
        send(index, now: now, &actions)
        if allOpenAt == nil, open == slots.count - doneCount { allOpenAt = now }
        proceed(now: now, &actions)
    }

    /// - Parameter kind: what it failed of; nil for one that does not count, and whose request
    ///   stays.
    mutating func dialFailed(
        _ index: Int, _ kind: FailureKind?, now: Instant, _ actions: inout [Action]
    ) {
        guard isIn(.dialing, index) else { return }
        dialing -= 1
        sources.dialFailed(Int(slots[index].source), outOfPorts: kind == .ports)
        backOff(index, now: now)
        if let kind, !kind.isLocal || slots[index].failures >= HoldMachine.localAttempts {
            slots[index].hasRequest = false
            unsent += 1
        }
        proceed(now: now, &actions)
    }

    /// A whole response has come.
    ///
    /// - Parameter keepsAlive: whether the connection may be used again.
    /// - Returns: how long it took; nil where nothing was asked.
    mutating func answered(
        _ index: Int, keepsAlive: Bool, now: Instant, _ actions: inout [Action]
    ) -> Duration? {
        guard isIn(.waiting, index) else { return nil }
        let latency = now - slots[index].sentAt
        inFlight -= 1
        answered += 1
        slots[index].failures = 0
        slots[index].isReused = true
        cancelDeadline(index)
        if !keepsAlive {
            actions.append(.close(index))
            release(index)
        }
        if requestsLeft == 0 {
            done(index, &actions)
        } else {
            slots[index].phase = .thinking
            let pause = random.duration(in: configuration.think)
            if pause == .zero {
                turnToRequest(index, now: now, &actions)
            } else {
                setDeadline(index, now + pause)
            }
        }
        proceed(now: now, &actions)
        return latency
    }

    /// A connection that was open is gone.
    ///
    /// - Parameter hasBegun: whether some of the answer had come.
    /// - Returns: what was lost with it.
    mutating func lost(
        _ index: Int, hasBegun: Bool, now: Instant, _ actions: inout [Action]
    ) -> Loss {
        guard slots.indices.contains(index), slots[index].isOpen, !isFinished else {
            return .nothing
        }
        release(index)
        defer { proceed(now: now, &actions) }
        guard slots[index].phase == .waiting else {
            closedIdle += 1
            return .nothing
        }
        requestLost(index, now: now)
        return slots[index].isReused && !hasBegun ? .requestOnReused : .request
    }

    /// Does what is due; calling it late is harmless.
    mutating func tick(now: Instant, _ actions: inout [Action]) {
        guard startedAt != nil, !isFinished else { return }
        if let endAt, now >= endAt { return finish(&actions) }
        while let due = deadlines.popExpired(now: now) {
            let index = Int(due)
            slots[index].deadline = .none
            switch slots[index].phase {
            case .waiting:
                actions.append(.timedOut(index))
                release(index)
                requestLost(index, now: now)
            case .thinking: turnToRequest(index, now: now, &actions)
            case .backingOff:
                sources.retryUnused()
                turnToRequest(index, now: now, &actions)
            case .queued, .dialing, .done: break
            }
        }
        proceed(now: now, &actions)
    }

    /// Ends it; what is in flight stays unanswered.
    mutating func stop(_ actions: inout [Action]) {
        if startedAt != nil { finish(&actions) }
    }

    // MARK: - Private

    private func isIn(_ phase: Phase, _ index: Int) -> Bool {
        !isFinished && slots.indices.contains(index) && slots[index].phase == phase
    }

    /// Draws a request for a connection, and sends it or has it dialed first.
    private mutating func turnToRequest(_ index: Int, now: Instant, _ actions: inout [Action]) {
        if !slots[index].hasRequest {
            guard requestsLeft > 0 else { return done(index, &actions) }
            if requestsLeft != .max { requestsLeft -= 1 }
            slots[index].hasRequest = true
        }
        if slots[index].isOpen {
            send(index, now: now, &actions)
        } else {
            slots[index].phase = .queued
            queue.append(UInt32(truncatingIfNeeded: index))
        }
    }

    private mutating func send(_ index: Int, now: Instant, _ actions: inout [Action]) {
        slots[index].phase = .waiting
        slots[index].hasRequest = false
        slots[index].sentAt = now
        sent += 1
        inFlight += 1
        peakInFlight = max(peakInFlight, inFlight)
        if let timeout = configuration.timeout { setDeadline(index, now + timeout) }
        actions.append(.send(index))
    }

    private mutating func requestLost(_ index: Int, now: Instant) {
        cancelDeadline(index)
        inFlight -= 1
        lost += 1
        backOff(index, now: now)
    }

    private mutating func backOff(_ index: Int, now: Instant) {
        slots[index].phase = .backingOff
        if slots[index].failures < .max { slots[index].failures += 1 }
        let pause = configuration.backoff.delay(
            afterFailure: Int(slots[index].failures), using: &random)
        setDeadline(index, now + pause)
    }

    /// Its connection is gone: the place at its source is free.
    private mutating func release(_ index: Int) {
        slots[index].isOpen = false
        open -= 1
        sources.closed(Int(slots[index].source))
    }

    private mutating func done(_ index: Int, _ actions: inout [Action]) {
        slots[index].phase = .done
        doneCount += 1
        if doneCount == slots.count { finish(&actions) }
    }

    private mutating func finish(_ actions: inout [Action]) {
        guard !isFinished else { return }
        isFinished = true
        actions.append(.finished)
    }

    private mutating func setDeadline(_ index: Int, _ deadline: Instant) {
        slots[index].deadline = deadlines.start(
            UInt32(truncatingIfNeeded: index), at: deadline)
    }

    private mutating func cancelDeadline(_ index: Int) {
        deadlines.cancel(slots[index].deadline)
        slots[index].deadline = .none
    }

    private var canDial: Bool {
        queueHead < queue.count && dialing < configuration.dialing && sources.hasRoom
    }

    /// Dials while there is room.
    private mutating func proceed(now: Instant, _ actions: inout [Action]) {
        while !isFinished, canDial {
            if let rate = configuration.openRate {
                guard now >= nextDialAt else { return }
                let interval = Duration.nanoseconds(Int64(1e9 / max(rate, 0.001)))
                nextDialAt = max(nextDialAt, now - HoldMachine.catchUp) + interval
            }
            guard let source = sources.take() else { return }
            let index = Int(queue[queueHead])
            queueHead += 1
            slots[index].phase = .dialing
            slots[index].source = UInt16(clamping: source)
            dialing += 1
            actions.append(.dial(index, source: configuration.sources == 0 ? nil : source))
        }
        // No connection will ever close that would make room for those that are left.
        let queued = queue.count - queueHead
        if !isFinished, queued > 0, queued + doneCount == slots.count, !sources.hasRoom {
            unsent += queued
            finish(&actions)
        }
        // The part that has been worked off goes when it is the larger one.
        if queueHead > 1024, queueHead * 2 > queue.count {
            queue.removeFirst(queueHead)
            queueHead = 0
        }
    }
}
