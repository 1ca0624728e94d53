import Pacing
import Reactor

/// Many deadlines of one duration under one timer.
///
/// Does what the reactor's `DeadlineClass` does, where this module's optimizer sees the payload:
/// specialized, a restart costs tens of instructions; through the generic class of another module
/// it costs thousands, and there is one for every request.
final class Deadlines<Payload: AnyObject> {
    /// Behind a pointer, because mutating a class's property in place is checked at run time.
    private let queue: UnsafeMutablePointer<DeadlineQueue<Payload>>
    private let loop: EventLoop
    private let onExpire: (Payload) -> Void
    private var timer: Timer?
    private var isClosed = false

    init(loop: EventLoop, timeout: Duration, onExpire: @escaping (Payload) -> Void) {
        self.loop = loop
        self.onExpire = onExpire
        queue = .allocate(capacity: 1)
        queue.initialize(to: DeadlineQueue(timeout: timeout))
    }

    deinit { queue.deinitialize(count: 1).deallocate() }

    /// Nil after `close`.
    func start(_ payload: Payload) -> DeadlineToken? {
        if isClosed { return nil }
        let wasEmpty = queue.pointee.isEmpty
        let token = queue.pointee.start(payload, now: loop.now)
        if wasEmpty { armTimer() }
        return token
    }

    func restart(_ token: DeadlineToken) {
        queue.pointee.restart(token, now: loop.now)
    }

    func cancel(_ token: DeadlineToken) {
        queue.pointee.cancel(token)
        // An empty queue must not keep the loop running.
        if queue.pointee.isEmpty { timer?.cancel() }
    }

    func close() {
        isClosed = true
        queue.pointee = DeadlineQueue(timeout: queue.pointee.timeout)
        timer?.close()
        timer = nil
    }

    private func armTimer() {
        guard let deadline = queue.pointee.nextDeadline else { return }
        if timer == nil {
            // Not weakly: an object that was ever held so has slow reference counts for ever.
            // `close` breaks the cycle.
            timer = Timer(loop: loop) { [self] in expire() }
        }
        timer?.schedule(at: deadline)
    }

    private func expire() {
        // Not those that have passed since: what came before them may still lie in the kernel.
        let heardUntil = loop.heardUntil
        while let payload = queue.pointee.popExpired(now: heardUntil) { onExpire(payload) }
        armTimer()
    }
}

@available(*, unavailable)
extension Deadlines: Sendable {}
