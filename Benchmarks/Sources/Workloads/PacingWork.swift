import Pacing

/// Deadlines: of ten thousand that run, one is restarted after the other.
enum PacingWork {
    static let all = [
        Workload(name: "deadline-restart", bytes: nil) { count in
            var queue = DeadlineQueue<Int>(timeout: .seconds(60))
            var now = Instant(nanoseconds: 1)
            let tokens = (0..<running).map { queue.start($0, now: now) }
            for index in 0..<count {
                now = now + .nanoseconds(100)
                _ = queue.restart(tokens[index % running], now: now)
            }
            precondition(queue.count == running, "a deadline was lost")
            return queue.count
        },
        Workload(name: "deadline-start-cancel", bytes: nil) { count in
            var queue = DeadlineQueue<Int>(timeout: .seconds(60))
            var now = Instant(nanoseconds: 1)
            for index in 0..<running { _ = queue.start(index, now: now) }
            for index in 0..<count {
                now = now + .nanoseconds(100)
                _ = queue.cancel(queue.start(index, now: now))
            }
            precondition(queue.count == running, "a deadline was lost")
            return queue.count
        },
    ]

    private static let running = 10_000
}
