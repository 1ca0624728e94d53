import Pacing
import Testing

@testable import Reactor

/// A loop whose clock moves only when it is told to.
@Suite struct VirtualTimeTests {
    private let start = Instant(nanoseconds: 5_000_000_000)

    private func withVirtual(_ body: (EventLoop) throws -> Void) throws {
        let loop = try EventLoop.virtual(startingAt: start)
        try body(loop)
        #expect(throws: Never.self) { try loop.close() }
    }

    @Test("timers fire exactly at their moments, in order of them, then of their scheduling")
    func order() throws {
        try withVirtual { loop in
            var fired: [String] = []
            var timers: [Timer] = []
            func timer(_ name: String, _ delay: Duration) {
                let timer = Timer(loop: loop) {
                    #expect(loop.now == start + delay && loop.heardUntil == loop.now)
                    fired.append(name)
                }
                timer.schedule(at: start + delay)
                timers.append(timer)
            }
            timer("late", .seconds(600))
            timer("c", .nanoseconds(1_000_001))
            timer("a", .microseconds(1))
            timer("d", .nanoseconds(1_000_001))
            timer("b", .milliseconds(1))
            timers[1].schedule(at: start + .nanoseconds(1_000_001))  // moved behind its equal
            #expect(loop.now == start && fired.isEmpty)
            loop.advance(by: .microseconds(1))
            #expect(fired == ["a"])
            loop.advance(to: start + .milliseconds(2))
            #expect(fired == ["a", "b", "d", "c"] && loop.now == start + .milliseconds(2))
            loop.advance(by: .seconds(598))
            #expect(fired.count == 4 && timers[0].deadline == start + .seconds(600))
            loop.advance(by: .seconds(2))
            #expect(fired.last == "late" && timers[0].deadline == nil)
            for timer in timers { timer.close() }
        }
    }

    @Test(
        "a timer withdrawn, moved or closed does not fire at its old moment; one gone by, at once")
    func withdrawn() throws {
        try withVirtual { loop in
            var fired: [Int] = []
            let timers = (0..<4).map { number in
                Timer(loop: loop) { fired.append(number) }
            }
            for timer in timers { timer.schedule(after: .seconds(1)) }
            timers[0].cancel()
            timers[1].schedule(after: .seconds(2))
            timers[2].close()
            loop.advance(by: .seconds(1))
            #expect(fired == [3])
            timers[3].schedule(at: Instant(nanoseconds: 0))
            #expect(fired == [3], "fired from inside the call")
            loop.settle()
            #expect(fired == [3, 3] && loop.now == start + .seconds(1))
            loop.advance(by: .seconds(9))
            #expect(fired == [3, 3, 1])
            for timer in timers { timer.close() }
        }
    }

    @Test("work enqueued is done before time goes on, also what it enqueues and schedules")
    func enqueued() throws {
        try withVirtual { loop in
            var told: [String] = []
            let second = Timer(loop: loop) { told.append("second") }
            let first = Timer(loop: loop) {
                told.append("first")
                loop.enqueue {
                    told.append("work")
                    loop.enqueue {
                        told.append("its work")
                        second.schedule(at: loop.now)
                    }
                }
            }
            let later = Timer(loop: loop) { told.append("later") }
            first.schedule(after: .seconds(1))
            later.schedule(after: .seconds(1) + .nanoseconds(1))
            loop.enqueue { told.append("at once") }
            #expect(told.isEmpty)
            loop.settle()
            #expect(told == ["at once"])
            loop.advance(by: .seconds(2))
            #expect(told == ["at once", "first", "work", "its work", "second", "later"])
            for timer in [first, second, later] { timer.close() }
        }
    }

    @Test("deadlines of one class pass at their moments, precise timers and connects' too")
    func users() throws {
        try withVirtual { loop in
            var passed: [Int] = []
            let deadlines = DeadlineClass<Int>(loop: loop, timeout: .seconds(60)) {
                passed.append($0)
            }
            let token = deadlines.start(1)
            _ = deadlines.start(2)
            let precise = PreciseTimer(loop: loop) { passed.append(0) }
            precise.schedule(after: .nanoseconds(1))
            #expect(loop.openHandles["poll"] == nil)
            loop.advance(by: .seconds(30))
            deadlines.restart(token)
            loop.advance(by: .seconds(60) - .nanoseconds(1))
            #expect(passed == [0, 2])
            loop.advance(by: .nanoseconds(1))
            #expect(passed == [0, 2, 1])
            deadlines.close()
            precise.close()
        }
    }

    @Test("run goes from moment to moment until nothing is left, or it is told to stop")
    func runs() throws {
        try withVirtual { loop in
            var count = 0
            var timer: Timer?
            timer = Timer(loop: loop) {
                count += 1
                if count == 3 { loop.stop() }
                if count < 5 { timer?.schedule(after: .seconds(100)) }
            }
            let unowned = Timer(loop: loop) { Issue.record("nothing waits for it") }
            unowned.setKeepsLoopAlive(false)
            unowned.schedule(after: .seconds(1000))
            timer?.schedule(after: .zero)
            loop.run()
            #expect(count == 3 && loop.now == start + .seconds(200))
            #expect(loop.runOnce() && count == 4 && loop.now == start + .seconds(300))
            loop.runOnce(wait: false)
            #expect(count == 4)
            loop.run()
            #expect(count == 5 && loop.now == start + .seconds(400))
            timer?.close()
            timer = nil
            unowned.close()
        }
    }

    @Test("a process kept from its work finds its timers late, and its meter says by how much")
    func stalled() throws {
        try withVirtual { loop in
            let meter = loop.meter()
            var moment: Instant?
            let timer = Timer(loop: loop) { moment = loop.now }
            timer.schedule(after: .milliseconds(1500))
            loop.advance(by: .milliseconds(1400))
            #expect(meter.lags.sum == .zero)
            loop.enqueue { loop.stall(for: .milliseconds(1100)) }
            loop.settle()
            #expect(moment == start + .milliseconds(2500) && loop.heardUntil == moment)
            #expect(meter.lags.sum == .milliseconds(500) && meter.turns.sum == .zero)
            timer.close()
        }
    }

    @Test("a timer left open is a leak here too")
    func leak() throws {
        let loop = try EventLoop.virtual()
        let timer = Timer(loop: loop) {}
        timer.schedule(after: .seconds(1))
        #expect(throws: UVError.self) { try loop.close() }
        timer.close()
        try loop.close()
    }

    @Test("what comes through memory comes before the timers of its moment, however late both are")
    func newsFirst() throws {
        try withVirtual { loop in
            let (client, server) = MemoryStream.pair(on: loop, seed: 1)
            var told: [String] = []
            let timers = (1...2).map { number in Timer(loop: loop) { told.append("\(number)") } }
            timers[0].schedule(after: .milliseconds(20))
            timers[1].schedule(after: .milliseconds(30))
            client.outgoing.latency = .milliseconds(20)...(.milliseconds(20))
            server.onRead = { _, _ in told.append("news") }
            server.resumeReading()
            client.write([1])
            loop.advance(by: .milliseconds(10))
            client.write([2])
            loop.advance(by: .milliseconds(10))
            #expect(told == ["news", "1"])
            loop.stall(for: .seconds(1))
            loop.settle()
            #expect(told == ["news", "1", "news", "2"])
            for timer in timers { timer.close() }
            client.close()
            server.close()
        }
    }
}
