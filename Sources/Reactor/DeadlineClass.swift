import Pacing

/// Many deadlines of one duration under a single libuv timer.
///
/// What a server uses for the idle time of ten thousand connections: restarting one costs tens of
/// instructions, and the timer is touched only when the oldest deadline passes. Its methods are
/// compiled into whoever calls them, because through generic code of another module each would
/// cost thousands.
public final class DeadlineClass<Payload> {
    /// How long after its start a deadline passes.
    public let timeout: Duration

    @usableFromInline
    struct State {
        @usableFromInline var queue: DeadlineQueue<Payload>
        @usableFromInline var isClosed = false
    }
    /// Behind a pointer, because access to what changes in a class is checked at run time.
    @usableFromInline let state: UnsafeMutablePointer<State>
    @usableFromInline let loop: LoopReference
    private var timer: Timer?
    private let onExpire: (Payload) -> Void

    /// - Parameters:
    ///   - timeout: not negative.
    ///   - onExpire: called for each deadline that passes, with what it was started with.
    public convenience init(
        loop: EventLoop, timeout: Duration, onExpire: @escaping (Payload) -> Void
    ) {
        self.init(loop: loop, timeout: timeout, ownedByLoop: false, onExpire: onExpire)
    }

    /// - Parameter ownedByLoop: the loop itself holds this class; it must not hold the loop.
    init(
        loop: EventLoop, timeout: Duration, ownedByLoop: Bool,
        onExpire: @escaping (Payload) -> Void
    ) {
        self.timeout = timeout
        self.onExpire = onExpire
        self.loop = LoopReference(loop, ownedByLoop: ownedByLoop)
        state = .allocate(capacity: 1)
        state.initialize(to: State(queue: DeadlineQueue(timeout: timeout)))
    }

    deinit {
        timer?.close()
        state.deinitialize(count: 1).deallocate()
    }

    /// Whether no deadline is running.
    @inlinable public var isEmpty: Bool { state.pointee.queue.isEmpty }

    /// How many deadlines are running.
    @inlinable public var count: Int { state.pointee.queue.count }

    /// Starts a deadline that passes ``timeout`` from now; none after ``close()``.
    @inlinable
    public func start(_ payload: Payload) -> DeadlineToken {
        start(payload, now: loop.with { $0.now })
    }

    /// The same for who knows what time it is, which must not run backwards.
    @inlinable
    public func start(_ payload: Payload, now: Instant) -> DeadlineToken {
        if state.pointee.isClosed { return .none }
        let wasEmpty = state.pointee.queue.isEmpty
        let token = state.pointee.queue.start(payload, now: now)
        if wasEmpty { armTimer() }
        return token
    }

    /// Lets a running deadline pass ``timeout`` from now instead.
    @inlinable
    public func restart(_ token: DeadlineToken) { restart(token, now: loop.with { $0.now }) }

    /// The same for who knows what time it is, which must not run backwards.
    @inlinable
    public func restart(_ token: DeadlineToken, now: Instant) {
        state.pointee.queue.restart(token, now: now)
    }

    /// Withdraws a deadline; does nothing when it has passed.
    @inlinable
    public func cancel(_ token: DeadlineToken) {
        state.pointee.queue.cancel(token)
        // The timer stays as it is (it finds nothing due and rearms), but must not keep a loop
        // running for deadlines that nobody waits for any more.
        if state.pointee.queue.isEmpty { stopTimer() }
    }

    /// Withdraws all deadlines and gives the timer back. Idempotent.
    public func close() {
        state.pointee = State(queue: DeadlineQueue(timeout: timeout), isClosed: true)
        timer?.close()
        timer = nil
    }

    @usableFromInline
    func armTimer() {
        guard let deadline = state.pointee.queue.nextDeadline else { return }
        if timer == nil {
            // Not weakly: an object that was ever held so has slow reference counts for ever. The
            // end of this one closes its timer.
            let isOwned = loop.isOwnedByLoop
            timer = loop.with {
                Timer(loop: $0, ownedByLoop: isOwned) { [unowned self] in expire() }
            }
        }
        timer?.schedule(at: deadline)
    }

    @usableFromInline
    func stopTimer() { timer?.cancel() }

    private func expire() {
        // Not those that have passed since: what came before them may still lie in the kernel.
        let heardUntil = loop.with { $0.heardUntil }
        while let payload = state.pointee.queue.popExpired(now: heardUntil) { onExpire(payload) }
        armTimer()
    }
}

@available(*, unavailable)
extension DeadlineClass: Sendable {}
