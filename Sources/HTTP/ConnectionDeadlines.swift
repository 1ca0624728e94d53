import Pacing
import Reactor

/// The deadlines of one duration for all connections of a server.
///
/// Does what the reactor's `DeadlineClass` does, for one payload type that this module's optimizer
/// sees: specialized, a restart costs tens of instructions; through the generic class in another
/// module it costs thousands, and there is one for every request.
final class ConnectionDeadlines {
    /// Behind a pointer, because mutating a class's property in place is checked at run time.
    private let queue: UnsafeMutablePointer<DeadlineQueue<ServerConnection>>
    private let loop: EventLoop
    private var timer: Timer?
    private var isClosed = false

    init(loop: EventLoop, timeout: Duration) {
        self.loop = loop
        queue = .allocate(capacity: 1)
        queue.initialize(to: DeadlineQueue(timeout: timeout))
    }

    deinit { queue.deinitialize(count: 1).deallocate() }

    func start(_ connection: ServerConnection) -> DeadlineToken? {
        if isClosed { return nil }
        let wasEmpty = queue.pointee.isEmpty
        let token = queue.pointee.start(connection, now: loop.now)
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
        let now = loop.now
        while let connection = queue.pointee.popExpired(now: now) { connection.deadlinePassed() }
        armTimer()
    }
}
