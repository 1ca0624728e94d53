import Pacing
import Testing

@testable import Reactor

@Suite struct VirtualTimeTests {
    private func withVirtualLoop(_ body: (EventLoop) throws -> Void) throws {
        let loop = try EventLoop.virtual()
        try body(loop)
        #expect(throws: Never.self, "a handle was left open") { try loop.close() }
    }

    @Test("the clock stands still but for advance, and timers fire exactly at their moments")
    func moments() throws {
        try withVirtualLoop { loop in
            let start = loop.now
            var fired: [(String, Duration)] = []
            let timers = ["c": 3_000_001, "a": 1, "b": 3_000_000, "d": 3_000_001].sorted {
                $0.key < $1.key
            }.map { name, nanoseconds in
                let timer = Timer(loop: loop) {
                    fired.append((name, loop.now - start))
                    #expect(loop.heardUntil == loop.now)
                }
                timer.schedule(after: .nanoseconds(Int64(nanoseconds)))
                return timer
            }
            loop.settle()
            #expect(fired.isEmpty && loop.now == start)
            loop.advance(by: .nanoseconds(3_000_000))
            #expect(fired.map(\.0) == ["a", "b"])
            loop.advance(by: .seconds(3600))
            // At one moment in the order in which they were scheduled.
            #expect(fired.map(\.0) == ["a", "b", "c", "d"])
            #expect(fired.map(\.1.nanoseconds) == [1, 3_000_000, 3_000_001, 3_000_001])
            #expect(loop.now == start + .nanoseconds(3_000_000) + .seconds(3600))
            for timer in timers { timer.close() }
        }
    }

    @Test("a timer that is put off, withdrawn or closed does not fire as it was scheduled before")
    func changes() throws {
        try withVirtualLoop { loop in
            var fired: [String] = []
            let later = Timer(loop: loop) { fired.append("later") }
            let never = Timer(loop: loop) { fired.append("never") }
            let closed = Timer(loop: loop) { fired.append("closed") }
            for timer in [later, never, closed] { timer.schedule(after: .seconds(1)) }
            let changer = Timer(loop: loop) {
                later.schedule(after: .seconds(10))
                never.cancel()
                closed.close()
            }
            changer.schedule(after: .milliseconds(999))
            loop.advance(by: .seconds(5))
            #expect(fired.isEmpty)
            loop.advance(by: .seconds(6))
            #expect(fired == ["later"])
            for timer in [later, never, changer] { timer.close() }
        }
    }

    @Test("work that a timer enqueues is done before the next timer, at the same moment")
    func enqueued() throws {
        try withVirtualLoop { loop in
            var order: [String] = []
            let timers = [1, 2].map { number in
                let timer = Timer(loop: loop) {
                    order.append("timer \(number)")
                    loop.enqueue { loop.enqueue { order.append("work \(number)") } }
                }
                timer.schedule(after: .seconds(1))
                return timer
            }
            loop.advance(by: .seconds(1))
            #expect(order == ["timer 1", "work 1", "timer 2", "work 2"])
            for timer in timers { timer.close() }
        }
    }

    @Test("run goes from timer to timer until none is left that it waits for, or until stop")
    func run() throws {
        try withVirtualLoop { loop in
            let start = loop.now
            var count = 0
            var timer: Timer?
            timer = Timer(loop: loop) {
                count += 1
                if count < 100 { timer?.schedule(after: .seconds(60)) }
                if count == 50 { loop.stop() }
            }
            timer?.schedule(after: .seconds(60))
            // Of no account: it would go on for ever.
            var other: Timer?
            other = Timer(loop: loop) { other?.schedule(after: .seconds(7)) }
            other?.setKeepsLoopAlive(false)
            other?.schedule(after: .seconds(7))
            loop.run()
            #expect(count == 50)
            loop.run()
            #expect(count == 100 && loop.now == start + .seconds(6000))
            timer?.close()
            other?.close()
            (timer, other) = (nil, nil)
        }
    }

    @Test("deadline classes and precise timers live in the loop's time")
    func deadlines() throws {
        try withVirtualLoop { loop in
            var passed: [Int] = []
            let deadlines = DeadlineClass<Int>(loop: loop, timeout: .seconds(60)) {
                passed.append($0)
            }
            let first = deadlines.start(1)
            _ = deadlines.start(2)
            let precise = PreciseTimer(loop: loop) { passed.append(3) }
            precise.schedule(after: .seconds(90))
            loop.advance(by: .seconds(59))
            deadlines.restart(first)
            loop.advance(by: .seconds(1))
            #expect(passed == [2])
            loop.advance(by: .seconds(58))
            #expect(passed == [2, 3])
            loop.advance(by: .seconds(1))
            #expect(passed == [2, 3, 1])
            deadlines.close()
            precise.close()
        }
    }

    // MARK: - The path in memory

    @Test("a piece takes its latency and its share of the bandwidth, to the nanosecond")
    func path() throws {
        try withVirtualLoop { loop in
            var path = MemoryStream.Path()
            path.latency = .milliseconds(20)...(.milliseconds(20))
            path.bytesPerSecond = 1000
            path.pieces = 100...100
            let (a, b) = MemoryStream.pair(on: loop, path: path)
            let start = loop.now
            var arrivals: [Int64] = []
            b.onRead = { _, bytes in
                #expect(bytes.count == 100)
                arrivals.append((loop.now - start).nanoseconds / 1_000_000)
            }
            b.resumeReading()
            a.write([UInt8](repeating: 1, count: 300))
            loop.advance(by: .seconds(1))
            #expect(arrivals == [120, 220, 320])
            a.close()
            b.close()
            loop.settle()
        }
    }

    @Test("a clogged path takes nothing, says nothing, and goes on where it stopped")
    func clogged() throws {
        try withVirtualLoop { loop in
            let size = TCPConnection.highWaterBytes + 1
            let (a, b) = MemoryStream.pair(on: loop)
            var received = 0
            b.onRead = { received += $1.count }
            b.onEnd = { _, failure in #expect(failure == nil && received == size) }
            b.resumeReading()
            a.isClogged = true
            #expect(a.write([UInt8](repeating: 1, count: size)) == .backpressured)
            a.endWriting()
            loop.advance(by: .seconds(3600))
            #expect(received == 0 && a.unsentBytes == size)
            a.isClogged = false
            loop.settle()
            #expect(received == size && a.unsentBytes == 0)
            a.close()
            b.close()
            loop.settle()
        }
    }

    @Test("a slow reader is seen to make progress, byte by byte")
    func progress() throws {
        try withVirtualLoop { loop in
            var path = MemoryStream.Path()
            path.bytesPerSecond = 1000
            path.capacity = 1000
            let (a, b) = MemoryStream.pair(on: loop, path: path)
            b.onRead = { _, _ in }
            b.resumeReading()
            a.write([UInt8](repeating: 1, count: 100_000))
            var before = a.unsentBytes
            for _ in 0..<50 {
                loop.advance(by: .seconds(1))
                #expect(a.unsentBytes == before - 1000)
                before = a.unsentBytes
            }
            a.abort()
            b.close()
            loop.settle()
        }
    }

    @Test("what is closed with bytes unread is a reset for the other side")
    func unread() throws {
        try withVirtualLoop { loop in
            let (a, b) = MemoryStream.pair(on: loop)
            var failure: UVError?
            a.onEnd = { stream, reason in
                failure = reason
                stream.close()
            }
            a.resumeReading()
            a.write([1])
            loop.settle()
            b.close()
            loop.settle()
            #expect(failure?.kind == .reset)
        }
    }
}
