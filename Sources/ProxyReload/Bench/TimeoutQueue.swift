import Pacing
import Reactor

/// The timeouts of all clients' requests under one timer: restarting one costs nanoseconds.
final class TimeoutQueue {
    /// Behind a pointer, because mutating a class's property in place is checked at run time.
    private let queue: UnsafeMutablePointer<DeadlineQueue<Int>>
    private let timer: Timer

    /// - Parameter onExpire: gets the client and the time.
    init(loop: EventLoop, timeout: Duration, onExpire: @escaping (Int, Instant) -> Void) {
        let queue = UnsafeMutablePointer<DeadlineQueue<Int>>.allocate(capacity: 1)
        queue.initialize(to: DeadlineQueue(timeout: timeout))
        self.queue = queue
        var armed: Timer?
        timer = Timer(loop: loop) {
            let now = loop.now
            while let client = queue.pointee.popExpired(now: now) { onExpire(client, now) }
            if let deadline = queue.pointee.nextDeadline { armed?.schedule(at: deadline) }
        }
        armed = timer
        release = { armed = nil }
    }

    private let release: () -> Void

    deinit { queue.deinitialize(count: 1).deallocate() }

    @inline(__always)
    func start(_ client: Int, now: Instant) -> DeadlineToken {
        let token = queue.pointee.start(client, now: now)
        if timer.deadline == nil, let deadline = queue.pointee.nextDeadline {
            timer.schedule(at: deadline)
        }
        return token
    }

    @inline(__always)
    func restart(_ token: DeadlineToken, now: Instant) { queue.pointee.restart(token, now: now) }

    func cancel(_ token: DeadlineToken) { queue.pointee.cancel(token) }

    func close() {
        release()
        timer.close()
    }
}
