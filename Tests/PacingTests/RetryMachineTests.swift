import Pacing
import Testing

@Suite struct RetryMachineTests {
    private let t0 = Instant(nanoseconds: 1_000_000)
    private let steady = Backoff(
        initial: .milliseconds(100), maximum: .milliseconds(800), jitter: 0)

    @Test("unanswered attempts are cancelled, waited after in doubling steps, and given up")
    func exhausted() {
        var run = Run(.init(attempts: 3, timeout: .milliseconds(1500), backoff: steady), at: t0)
        #expect(run.start() == [.attempt(1)])
        #expect(run.toDeadline() == [.cancel(1)])
        #expect(run.now - t0 == .milliseconds(1500))
        #expect(run.toDeadline() == [.attempt(2)])
        #expect(run.now - t0 == .milliseconds(1600))
        #expect(run.toDeadline() == [.cancel(2)])
        #expect(run.toDeadline() == [.attempt(3)])
        #expect(run.now - t0 == .milliseconds(1600 + 1500 + 200))
        #expect(run.toDeadline() == [.cancel(3), .gaveUp])
        #expect(run.machine.nextDeadline == nil)
    }

    @Test("a success ends it, and news of it or of others afterwards change nothing")
    func success() {
        var run = Run(.init(timeout: .seconds(1), backoff: steady), at: t0)
        _ = run.start()
        #expect(run.failed(1) == [])
        #expect(run.toDeadline() == [.attempt(2)])
        #expect(run.succeeded(1) == false, "the first attempt had failed already")
        #expect(run.succeeded(2) == true)
        #expect(run.succeeded(2) == false)
        #expect(run.failed(2) == nil)
        #expect(run.machine.nextDeadline == nil)
    }

    @Test("no attempt begins at or after the time to give up, and it is not waited for in vain")
    func givesUp() {
        let policy = RetryMachine.Policy(
            timeout: .seconds(1), giveUpAfter: .seconds(10), backoff: steady)
        var run = Run(policy, at: t0)
        var last = t0
        var actions = run.start()
        while run.machine.nextDeadline != nil {
            actions = run.toDeadline()
            if case .attempt? = actions.first { last = run.now }
        }
        #expect(actions.last == .gaveUp)
        #expect(last - t0 < .seconds(10))
        // One timeout and one wait are all that may lie between the last attempt and its end.
        #expect(run.now - t0 >= .seconds(10) - .milliseconds(1800))
        #expect(run.now - last == .seconds(1))
    }

    @Test("a retry called late enough is given up instead of begun")
    func lateTick() {
        var run = Run(
            .init(timeout: .seconds(1), giveUpAfter: .seconds(10), backoff: steady), at: t0)
        _ = run.start()
        _ = run.failed(1)
        run.now = t0 + .seconds(10)
        #expect(run.tick() == [.gaveUp])
    }

    @Test("a tick before the deadline does nothing")
    func early() {
        var run = Run(.init(timeout: .seconds(1), backoff: steady), at: t0)
        _ = run.start()
        run.now = t0 + .milliseconds(999)
        #expect(run.tick() == [])
        #expect(run.machine.nextDeadline == t0 + .seconds(1))
    }

    @Test("stopping cancels what is under way, once")
    func stop() {
        var run = Run(.init(timeout: .seconds(1), backoff: steady), at: t0)
        _ = run.start()
        var actions: [RetryMachine.Action] = []
        run.machine.stop(&actions)
        run.machine.stop(&actions)
        #expect(actions == [.cancel(1)])
        #expect(run.start() == [])
    }

    @Test("waits double up to the longest, and chance only ever shortens them")
    func backoff() {
        let backoff = Backoff(initial: .milliseconds(100), maximum: .seconds(5), jitter: 0.5)
        var random = SeededRandom(seed: 3)
        var shortened = 0
        for number in 1...1000 {
            let full = min(Duration.milliseconds(100 << min(number - 1, 10)), .seconds(5))
            let delay = backoff.delay(afterFailure: number, using: &random)
            #expect(delay <= full)
            #expect(delay >= full / 2)
            if delay < full { shortened += 1 }
        }
        #expect(shortened > 900)
        let steady = Backoff(initial: .milliseconds(100), maximum: .seconds(5), jitter: 0)
        let delays = (1...8).map { steady.delay(afterFailure: $0, using: &random) }
        #expect(delays == [100, 200, 400, 800, 1600, 3200, 5000, 5000].map { .milliseconds($0) })
        #expect(steady.delay(afterFailure: .max, using: &random) == .seconds(5))
    }
}

/// A machine under a clock that stands still until it is moved.
private struct Run {
    var machine: RetryMachine
    var now: Instant

    init(_ policy: RetryMachine.Policy, at now: Instant) {
        machine = RetryMachine(policy: policy)
        self.now = now
    }

    mutating func start() -> [RetryMachine.Action] {
        var actions: [RetryMachine.Action] = []
        machine.start(now: now, &actions)
        return actions
    }

    mutating func succeeded(_ attempt: Int) -> Bool { machine.succeeded(attempt: attempt) }

    /// Nil when the machine did not await this attempt.
    mutating func failed(_ attempt: Int) -> [RetryMachine.Action]? {
        var actions: [RetryMachine.Action] = []
        let isKnown = machine.failed(attempt: attempt, now: now, &actions)
        return isKnown ? actions : nil
    }

    mutating func tick() -> [RetryMachine.Action] {
        var actions: [RetryMachine.Action] = []
        machine.tick(now: now, &actions)
        return actions
    }

    mutating func toDeadline() -> [RetryMachine.Action] {
        guard let deadline = machine.nextDeadline else { return [] }
        now = deadline
        return tick()
    }
}
