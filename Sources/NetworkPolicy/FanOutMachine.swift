import Pacing

/// Has one exchange with each of many clients: delivers a document to all, or collects one from
/// all.
///
/// A client that does not answer, answers slowly or answers wrongly is tried again with growing
/// waits and in the end given up; it never takes a turn from one that has not had its first. At
/// most `parallel` exchanges are under way at any time.
///
/// Pure: it is told what happened and what time it is, and answers with what to do.
///
///     client's state   event                     next state   actions
///     fresh            a slot is free            in flight    send
///     in flight        succeeded                 done         –
///     in flight        failed                    waiting      – (or gaveUp, then done)
///     in flight        the request's timeout     waiting      cancel (and gaveUp, then done)
///     in flight        the same, called late     in flight    –
///     waiting          its wait is over          due          –
///     due              a slot is free            in flight    send
///     due              the time to give up       done         gaveUp
///
/// Only `tick` calls time, and comes after all news that there are: an answer that is read late,
/// because this process was stopped, does not time out those that wait behind it in their sockets.
///
/// Called late, this process was stopped or busy: it may have learnt only now that a connection
/// stands, and the answer needs a moment more. So a request whose timeout passed meanwhile gets
/// one, once: what this process slept through is not held against the client.
///
/// The time to give up counts from a client's own first request, so that one behind a long queue
/// has its chance as well.
public struct FanOutMachine: Machine, Sendable {
    /// What is to be done.
    public enum Action: Equatable, Sendable {
        case send(client: Int, attempt: Int)
        /// Abandon the request; nothing more will be heard of it.
        case cancel(client: Int, attempt: Int)
        case gaveUp(client: Int)
        /// Every client is done or given up. The last action there will be.
        case finished
    }

    private enum Phase: UInt8 { case idle, running, ended }
    private enum State: UInt8 { case fresh, inFlight, waiting, due, done }

    /// What a request gets more, at most, where this process was late.
    private static let grace = Duration.seconds(1)

    /// Exchanges at a time, at most.
    public let parallel: Int
    private var states: [State]
    private var retries: [RetryMachine]
    /// The attempt that was given more time, by client; 0 for none.
    private var extended: [Int]
    private var nextFresh = 0
    /// Clients whose wait is over, oldest first; some may have been given up meanwhile.
    private var due = FIFO()
    private var deadlines = DeadlineHeap<Int>()
    /// By client: its deadline, if it has one.
    private var tokens: [DeadlineToken]
    private var scratch: [RetryMachine.Action] = []
    private var phase = Phase.idle

    /// Exchanges under way.
    public private(set) var inFlight = 0
    /// Clients with whom the exchange succeeded.
    public private(set) var succeededCount = 0
    /// Clients with whom it never did.
    public private(set) var givenUpCount = 0
    /// Requests sent for any client but its first.
    public private(set) var retryCount = 0

    /// - Parameters:
    ///   - clients: how many there are; they are called by their numbers from zero.
    ///   - parallel: exchanges at a time, at most.
    ///   - seed: of the waits' jitter.
    ///   - retry: how patiently each client is treated.
    public init(
        clients: Int, parallel: Int, seed: UInt64, retry: (_ client: Int) -> RetryMachine.Policy
    ) {
        precondition(parallel > 0, "at least one exchange must be allowed at a time")
        self.parallel = parallel
        states = Array(repeating: .fresh, count: clients)
        extended = Array(repeating: 0, count: clients)
        tokens = Array(repeating: .none, count: clients)
        retries = (0..<clients).map {
            RetryMachine(policy: retry($0), seed: seed &+ UInt64($0))
        }
    }

    /// Clients in all.
    public var clientCount: Int { states.count }
    /// Whether every client is done or given up.
    public var isFinished: Bool { succeededCount + givenUpCount == states.count }

    /// The clients that are neither done nor given up.
    public var unsettled: [Int] { states.indices.filter { states[$0] != .done } }

    /// The moment at which `tick` wants to be called; nil while there is nothing to wait for.
    public var nextDeadline: Instant? { phase == .running ? deadlines.nextDeadline : nil }

    /// Begins; once.
    public mutating func start(now: Instant, _ actions: inout [Action]) {
        guard phase == .idle else { return }
        phase = .running
        fill(now: now, &actions)
    }

    /// The exchange came to its good end. False when it was no longer awaited.
    @discardableResult
    public mutating func succeeded(
        client: Int, attempt: Int, now: Instant, _ actions: inout [Action]
    ) -> Bool {
        guard phase == .running, retries[client].succeeded(attempt: attempt) else { return false }
        inFlight -= 1
        succeededCount += 1
        states[client] = .done
        setDeadline(of: client, nil)
        fill(now: now, &actions)
        return true
    }

    /// The exchange failed. False when it was no longer awaited.
    @discardableResult
    public mutating func failed(
        client: Int, attempt: Int, now: Instant, _ actions: inout [Action]
    ) -> Bool {
        guard phase == .running else { return false }
        scratch.removeAll(keepingCapacity: true)
        guard retries[client].failed(attempt: attempt, now: now, &scratch) else { return false }
        inFlight -= 1
        settle(client, &actions)
        fill(now: now, &actions)
        return true
    }

    /// Does what is due.
    public mutating func tick(now: Instant, _ actions: inout [Action]) {
        guard phase == .running else { return }
        while let client = deadlines.popExpired(now: now) {
            if !extend(client, now: now) { expire(client, now: now, &actions) }
        }
        fill(now: now, &actions)
    }

    /// Ends everything at once; nothing is given up, and `finished` is not announced.
    public mutating func stop(_ actions: inout [Action]) {
        guard phase == .running else { return }
        phase = .ended
        for client in states.indices where states[client] == .inFlight {
            actions.append(.cancel(client: client, attempt: retries[client].attempts))
        }
        inFlight = 0
    }

    // MARK: Steps

    private mutating func fill(now: Instant, _ actions: inout [Action]) {
        while inFlight < parallel, let client = nextClient() { send(client, now: now, &actions) }
        if isFinished {
            phase = .ended
            actions.append(.finished)
        }
    }

    /// The only one that this client has from now on.
    private mutating func setDeadline(of client: Int, _ moment: Instant?) {
        deadlines.cancel(tokens[client])
        tokens[client] = moment.map { deadlines.start(client, at: $0) } ?? .none
    }

    /// Whether a request is given more time, because its timeout is called late.
    private mutating func extend(_ client: Int, now: Instant) -> Bool {
        let attempt = retries[client].attempts
        guard states[client] == .inFlight, extended[client] != attempt,
            let due = retries[client].nextDeadline, now - due > Punctuality.grain
        else { return false }
        extended[client] = attempt
        let until = now + min(retries[client].policy.timeout, FanOutMachine.grace)
        retries[client].extendAttempt(until: until)
        setDeadline(of: client, until)
        return true
    }

    private mutating func expire(_ client: Int, now: Instant, _ actions: inout [Action]) {
        if states[client] == .waiting {
            states[client] = .due
            due.append(client)
            return setDeadline(of: client, retries[client].giveUpAt)
        }
        if states[client] == .inFlight { inFlight -= 1 }
        scratch.removeAll(keepingCapacity: true)
        retries[client].tick(now: now, &scratch)
        settle(client, &actions)
    }

    /// Who is to have the next free slot: those without a first try, then who waits longest.
    private mutating func nextClient() -> Int? {
        if nextFresh < states.count {
            nextFresh += 1
            return nextFresh - 1
        }
        while let client = due.popFirst() {
            if states[client] == .due { return client }
        }
        return nil
    }

    private mutating func send(_ client: Int, now: Instant, _ actions: inout [Action]) {
        scratch.removeAll(keepingCapacity: true)
        if states[client] == .fresh {
            retries[client].start(now: now, &scratch)
        } else {
            retries[client].tick(now: now, &scratch)
            if case .attempt? = scratch.last { retryCount += 1 }
        }
        settle(client, &actions)
    }

    /// Passes on what the client's own machine asked for, and follows its state.
    private mutating func settle(_ client: Int, _ actions: inout [Action]) {
        states[client] = .waiting
        for action in scratch {
            switch action {
            case .attempt(let number):
                states[client] = .inFlight
                inFlight += 1
                actions.append(.send(client: client, attempt: number))
            case .cancel(let number):
                actions.append(.cancel(client: client, attempt: number))
            case .gaveUp:
                states[client] = .done
                givenUpCount += 1
                actions.append(.gaveUp(client: client))
            }
        }
        setDeadline(of: client, retries[client].nextDeadline)
    }
}

/// A queue of client numbers that gives back the memory of what was taken out in large pieces.
private struct FIFO: Sendable {
    private var items: [Int] = []
    private var head = 0

    mutating func append(_ item: Int) { items.append(item) }

    mutating func popFirst() -> Int? {
        guard head < items.count else { return nil }
        defer {
            head += 1
            if head == items.count {
                items.removeAll(keepingCapacity: true)
                head = 0
            } else if head >= 1024, head * 2 > items.count {
                items.removeFirst(head)
                head = 0
            }
        }
        return items[head]
    }
}
