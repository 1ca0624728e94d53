import Pacing

/// Many deadlines of one duration under a single libuv timer.
///
/// What a server uses for the idle time of ten thousand connections: restarting one costs a few
/// nanoseconds, and the timer is touched only when the oldest deadline passes.
public final class DeadlineClass<Payload> {
    /// How long after its start a deadline passes.
    public let timeout: Duration

    @usableFromInline var queue: DeadlineQueue<Payload>
    @usableFromInline let loop: EventLoop?
    private unowned let timerLoop: EventLoop
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
        self.loop = ownedByLoop ? nil : loop
        timerLoop = loop
        queue = DeadlineQueue(timeout: timeout)
    }

    deinit { timer?.close() }

    /// Whether no deadline is running.
    public var isEmpty: Bool { queue.isEmpty }

    /// How many deadlines are running.
    public var count: Int { queue.count }

    /// Starts a deadline that passes ``timeout`` from now.
    public func start(_ payload: Payload) -> DeadlineToken {
        let wasEmpty = queue.isEmpty
        let token = queue.start(payload, now: timerLoop.now)
        if wasEmpty { armTimer() }
        return token
    }

    /// Lets a running deadline pass ``timeout`` from now instead.
    public func restart(_ token: DeadlineToken) {
        queue.restart(token, now: timerLoop.now)
    }

    /// Withdraws a deadline; does nothing when it has passed.
    public func cancel(_ token: DeadlineToken) {
        queue.cancel(token)
        // The timer stays as it is (it finds nothing due and rearms), but must not keep a loop
        // running for deadlines that nobody waits for any more.
        if queue.isEmpty { timer?.cancel() }
    }

    /// Withdraws all deadlines and gives the timer back. Idempotent.
    public func close() {
        queue = DeadlineQueue(timeout: timeout)
        timer?.close()
        timer = nil
    }

    private func armTimer() {
        guard let deadline = queue.nextDeadline else { return }
        if timer == nil {
            timer = Timer(loop: timerLoop) { [weak self] in self?.expire() }
        }
        timer?.schedule(at: deadline)
    }

    private func expire() {
        // Not those that have passed since: what came before them may still lie in the kernel.
        let heardUntil = timerLoop.heardUntil
        while let payload = queue.popExpired(now: heardUntil) { onExpire(payload) }
        armTimer()
    }
}

@available(*, unavailable)
extension DeadlineClass: Sendable {}
