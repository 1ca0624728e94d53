import Pacing
import Testing

@testable import ProxyReload

private typealias Machine = BenchClientMachine
private typealias Step = BenchClientMachine.Step

private func at(_ milliseconds: Int64) -> Instant {
    Instant(nanoseconds: 1_000_000_000) + .milliseconds(milliseconds)
}

/// Requests, connections and pauses of one client under virtual time.
@Suite struct BenchClientMachineTests {
    private func closed(timeout: Duration = .seconds(5)) -> Machine {
        Machine(pace: .closed, timeout: timeout)
    }

    /// A client on its first connection, with its first request sent at 0 ms.
    private func responding() -> Machine {
        var machine = closed()
        #expect(machine.start(now: at(0), .granted) == Step(next: .connect))
        #expect(machine.connected(now: at(3)) == Step(next: .sendFirst))
        return machine
    }

    @Test("closed loop: the next request follows the answer at once, on the same connection")
    func closedLoop() {
        var machine = responding()
        #expect(machine.isBusy && machine.nextDeadline == at(5000))
        let first = machine.responded(
            RequestOutcome(status: 200), isReusable: true, now: at(7), .granted)
        #expect(first.ended == at(0), "the first latency has the connecting in it")
        #expect(first.outcome.isSuccess && !first.drops && first.next == .send)
        let second = machine.responded(
            RequestOutcome(status: 404), isReusable: true, now: at(9), .granted)
        #expect(second.ended == at(7) && second.outcome == RequestOutcome(status: 404))
        #expect(machine.nextDeadline == at(5009))
    }

    @Test("a connection that is not reusable is dropped, and the next made at once")
    func notReusable() {
        var machine = responding()
        let step = machine.responded(
            RequestOutcome(status: 200), isReusable: false, now: at(7), .granted)
        #expect(step.drops && step.next == .connect)
        #expect(machine.connected(now: at(8)).next == .sendFirst)
        let next = machine.responded(
            RequestOutcome(status: 200), isReusable: true, now: at(9), .granted)
        #expect(next.ended == at(7))
    }

    @Test("a connection lost in a request ends it and is made anew without a pause")
    func lostBusy() {
        var machine = responding()
        let step = machine.lost(.reset, now: at(5), .granted)
        #expect(step == Step(ended: at(0), outcome: .reset, drops: true, next: .connect))
        #expect(machine.lost(.reset, now: at(5), .granted) == Step(), "told once")
    }

    @Test("a response that does not come in time ends the request, not a tick before")
    func timeout() {
        var machine = responding()
        let early = at(5000) - .nanoseconds(1)
        #expect(machine.deadlinePassed(now: early, .granted) == Step())
        let step = machine.deadlinePassed(now: at(5000), .granted)
        #expect(step == Step(ended: at(0), outcome: .timedOut, drops: true, next: .connect))
        #expect(machine.nextDeadline == at(10000))
    }

    @Test("failed connects are tried again after 10 ms, doubling to a second; success resets that")
    func backoff() {
        var machine = closed()
        #expect(machine.start(now: at(0), .granted).next == .connect)
        var now: Int64 = 0
        for pause: Int64 in [10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            let failed = machine.connectFailed(.refused, now: at(now))
            #expect(failed == Step(ended: at(now), outcome: .refused))
            #expect(machine.isBackingOff && machine.nextDeadline == at(now + pause))
            now += pause
            let early = at(now) - .nanoseconds(1)
            #expect(machine.deadlinePassed(now: early, .granted) == Step())
            #expect(machine.deadlinePassed(now: at(now), .granted).next == .connect)
        }
        #expect(machine.connected(now: at(now)).next == .sendFirst)
        #expect(machine.lost(.closed, now: at(now), .granted).next == .connect)
        _ = machine.connectFailed(.refused, now: at(now))
        #expect(machine.nextDeadline == at(now + 10))
    }

    @Test("a connect without an answer counts as failed connecting, and is paused after")
    func connectTimeout() {
        var machine = closed(timeout: .milliseconds(50))
        _ = machine.start(now: at(0), .granted)
        let step = machine.deadlinePassed(now: at(50), .granted)
        #expect(step == Step(ended: at(0), outcome: .connectTimedOut, drops: true))
        #expect(machine.nextDeadline == at(60))
        #expect(machine.connected(now: at(55)) == Step(), "too late")
    }

    @Test("while the recorder is full nothing begins; afterwards it goes on where it was")
    func held() {
        var machine = responding()
        let step = machine.responded(
            RequestOutcome(status: 200), isReusable: true, now: at(7), .held)
        #expect(step.ended == at(0) && step.next == .wait && !machine.isBusy)
        #expect(machine.nextDeadline == nil)
        #expect(machine.release(now: at(90), .granted).next == .send)
        let next = machine.responded(
            RequestOutcome(status: 200), isReusable: true, now: at(91), .granted)
        #expect(next.ended == at(90), "the pause is not the proxy's")
    }

    @Test("a connection lost while held is made anew afterwards, and nothing is recorded")
    func lostHeld() {
        var machine = responding()
        _ = machine.responded(RequestOutcome(status: 200), isReusable: true, now: at(7), .held)
        #expect(machine.lost(.closed, now: at(8), .held) == Step(drops: true))
        #expect(machine.release(now: at(9), .granted).next == .connect)
    }

    @Test("at the end what is under way ends by itself, and nothing follows")
    func ending() {
        var busy = responding()
        #expect(busy.stop() == Step(), "its answer is still to come")
        let last = busy.responded(
            RequestOutcome(status: 200), isReusable: true, now: at(7), .ended)
        #expect(last.ended == at(0) && last.next == .stop && busy.isStopped)
        #expect(busy.stop() == Step(), "stopped once")

        var pausing = closed()
        _ = pausing.start(now: at(0), .granted)
        _ = pausing.connectFailed(.refused, now: at(1))
        #expect(pausing.stop() == Step(next: .stop))
        #expect(pausing.deadlinePassed(now: at(500), .granted) == Step())

        var connecting = closed()
        _ = connecting.start(now: at(0), .granted)
        #expect(connecting.stop() == Step())
        #expect(connecting.connected(now: at(1)).next == .sendFirst, "a request that has begun")
    }

    @Test("lost before the first byte of an answer, a reused connection is told apart")
    func reused() {
        let ok = RequestOutcome(status: 200)
        var first = responding()
        #expect(first.lost(.reset, now: at(5), .granted).outcome == .reset, "its first request")
        for (outcome, kind) in [
            (RequestOutcome.reset, RequestOutcome.reusedReset), (.closed, .reusedClosed),
            (.malformed, .malformed), (.other, .other),
        ] {
            var machine = responding()
            machine.received()
            _ = machine.responded(ok, isReusable: true, now: at(4), .granted)
            var begun = machine
            #expect(machine.lost(outcome, now: at(5), .granted).outcome == kind)
            #expect(machine.connected(now: at(6)).next == .sendFirst)
            #expect(machine.lost(outcome, now: at(7), .granted).outcome == outcome, "a new one")
            begun.received()
            #expect(begun.lost(outcome, now: at(5), .granted).outcome == outcome, "amid an answer")
        }
    }

    @Test("time that this process slept through is not the target's, and no more than that")
    func slept() {
        var machine = responding()
        machine.slept(.milliseconds(300), now: at(4000))
        #expect(machine.nextDeadline == at(5300))
        #expect(machine.deadlinePassed(now: at(5000), .granted) == Step())
        let step = machine.deadlinePassed(now: at(5300), .granted)
        #expect(step.outcome == .timedOut && step.ended == at(0))
        // What began in the pause gets what it had of it.
        machine.slept(.seconds(60), now: at(5301))
        #expect(machine.nextDeadline == at(10_301))
        var connecting = closed(timeout: .milliseconds(100))
        _ = connecting.start(now: at(0), .granted)
        connecting.slept(.milliseconds(150), now: at(150))
        #expect(connecting.connected(now: at(150)).next == .sendFirst, "the answer has its chance")
        #expect(connecting.deadlinePassed(now: at(249), .granted) == Step())
        #expect(connecting.deadlinePassed(now: at(250), .granted).outcome == .timedOut)
        var pausing = closed()
        _ = pausing.start(now: at(0), .granted)
        _ = pausing.connectFailed(.refused, now: at(0))
        pausing.slept(.seconds(1), now: at(9))
        #expect(pausing.nextDeadline == at(10), "a pause is nobody's time")
    }

    @Test("events that a state does not expect change nothing")
    func unexpected() {
        var machine = closed()
        let ok = RequestOutcome(status: 200)
        #expect(machine.connected(now: at(0)) == Step())
        #expect(machine.responded(ok, isReusable: true, now: at(0), .granted) == Step())
        #expect(machine.lost(.reset, now: at(0), .granted) == Step())
        #expect(machine.release(now: at(0), .granted) == Step())
        #expect(machine.connectFailed(.refused, now: at(0)) == Step())
        #expect(machine.deadlinePassed(now: at(9), .granted) == Step())
        #expect(machine.start(now: at(0), .granted).next == .connect)
        #expect(machine.start(now: at(0), .granted) == Step())
        #expect(machine.responded(ok, isReusable: true, now: at(0), .granted) == Step())
        #expect(machine.lost(.reset, now: at(0), .granted) == Step())
        #expect(machine.release(now: at(0), .granted) == Step())
    }
}

/// The open loop: requests have their times.
@Suite struct OpenLoopTests {
    @Test("requests of all clients together are evenly spaced, and none is due twice")
    func pace() {
        let pace = OpenPace(origin: at(0), rate: 3000)
        #expect(pace.moment(of: 0) == at(0))
        #expect(pace.moment(of: 3) == at(1))
        #expect(pace.moment(of: 9_000_000) == at(3_000_000), "no drift over fifty minutes")
        for number in [0, 1, 2, 1000, 8_999_999] {
            let moment = pace.moment(of: number)
            #expect(pace.due(by: moment) == number + 1)
            #expect(pace.due(by: moment - .nanoseconds(1)) == number)
        }
        #expect(pace.due(by: at(-5)) == 0)
    }

    /// One client against a server that answers after `service`, or not before `stall` ends.
    private func run(
        rate: Double, seconds: Int64, service: Duration, stall: Range<Int64> = 0..<0
    ) -> [Int64] {
        var machine = Machine(
            pace: .open(OpenPace(origin: at(0), rate: rate), number: 0, of: 1),
            timeout: .seconds(60))
        let end = at(seconds * 1000)
        var answerAt: Instant?
        var latencies: [Int64] = []
        func carryOut(_ step: Step, _ now: Instant) {
            if let start = step.ended { latencies.append((now - start).nanoseconds) }
            var next = step.next
            if next == .connect { next = machine.connected(now: now).next }
            guard next == .send || next == .sendFirst else { return }
            let stallEnd = at(stall.upperBound)
            let isStalled = now >= at(stall.lowerBound) && now < stallEnd
            answerAt = (isStalled ? stallEnd : now) + service
        }
        carryOut(machine.start(now: at(0), .granted), at(0))
        while !machine.isStopped {
            let now = [answerAt, machine.nextDeadline].compactMap { $0 }.min() ?? end
            let permit: Machine.Permit = now < end ? .granted : .ended
            if now == answerAt {
                answerAt = nil
                let ok = RequestOutcome(status: 200)
                carryOut(machine.responded(ok, isReusable: true, now: now, permit), now)
            } else {
                carryOut(machine.deadlinePassed(now: now, permit), now)
            }
        }
        return latencies
    }

    @Test("while answers are quick, latency is the server's alone")
    func quick() {
        let latencies = run(rate: 100, seconds: 10, service: .milliseconds(2))
        #expect(latencies.count == 1000)
        #expect(latencies.allSatisfy { $0 == 2_000_000 })
    }

    @Test("a stall counts for every request that was due while it lasted")
    func stall() {
        // Due at 3000, 3010, …, 3990 ms; all answered after 4000 ms, one after the other.
        let latencies = run(
            rate: 100, seconds: 10, service: .microseconds(100), stall: 3000..<4000)
        #expect(latencies.count == 1000)
        let hit = latencies.filter { $0 > 1_000_000 }
        #expect(hit.count == 101, "a hundred due in the stall, and one in the rush after it")
        #expect(hit.first == 1_000_100_000)
        for (index, latency) in hit.enumerated() {
            let due = Int64(index) * 10_000_000
            #expect(latency == 1_000_000_000 - due + Int64(index + 1) * 100_000)
        }
    }

    @Test("the closed loop shows the same stall once: what coordinated omission means")
    func closedStall() {
        var machine = Machine(pace: .closed, timeout: .seconds(60))
        _ = machine.start(now: at(0), .granted)
        _ = machine.connected(now: at(0))
        var slow = 0
        var now = at(0)
        while now < at(10000) {
            let stalled = now >= at(3000) && now < at(4000)
            now = (stalled ? at(4000) : now) + .milliseconds(10)
            let step = machine.responded(
                RequestOutcome(status: 200), isReusable: true, now: now, .granted)
            if let start = step.ended, now - start > .milliseconds(11) { slow += 1 }
        }
        #expect(slow == 1)
    }

    @Test("clients take turns: together they send every request once")
    func turns() {
        let pace = OpenPace(origin: at(0), rate: 1000)
        var starts: [Instant] = []
        for number in 0..<7 {
            var machine = Machine(pace: .open(pace, number: number, of: 7), timeout: .seconds(1))
            _ = machine.start(now: at(0), .granted)
            if machine.restingUntil != nil {
                _ = machine.deadlinePassed(now: pace.moment(of: number), .granted)
            }
            _ = machine.connected(now: pace.moment(of: number))
            for _ in 0..<10 {
                let now = machine.restingUntil ?? at(0)
                let step = machine.deadlinePassed(now: now, .granted)
                if machine.isBusy, step.next == .wait { break }
                let answered = machine.responded(
                    RequestOutcome(status: 200), isReusable: true, now: now, .granted)
                if let start = answered.ended { starts.append(start) }
            }
        }
        #expect(Set(starts).count == starts.count)
        #expect(starts.allSatisfy { start in pace.moment(of: pace.due(by: start) - 1) == start })
    }
}
