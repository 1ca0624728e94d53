import Pacing
import Reactor
import Testing

@testable import HTTP

/// The pure parts of the room: bytes, counts and virtual time in, decisions out.
@Suite struct MachineTests {
    @Test("kept bytes come out as they went in, and small bites move each of them at most twice")
    func keptBytes() {
        var random = SeededRandom(seed: 8)
        var kept = KeptBytes()
        var model: [UInt8] = []
        for step in 0..<5000 {
            if Bool.random(using: &random) {
                let more = (0..<Int.random(in: 0...40, using: &random)).map {
                    UInt8(truncatingIfNeeded: step &+ $0)
                }
                more.withUnsafeBytes { kept.append($0) }
                model += more
            } else {
                let count = Int.random(in: 0...model.count, using: &random)
                kept.consume(count)
                model.removeFirst(count)
            }
            #expect(kept.withUnsafeBytes { Array($0) } == model)
            #expect(kept.isEmpty == model.isEmpty)
        }
        var large = KeptBytes()
        [UInt8](repeating: 1, count: 1 << 20).withUnsafeBytes { large.append($0) }
        large.consume(1 << 20)
        #expect(large.capacity <= KeptBytes.smallCapacity, "its memory is given back")
        var moves = 0
        [UInt8](repeating: 1, count: 10_000).withUnsafeBytes { large.append($0) }
        for left in (0..<10_000).reversed() {
            let before = large.withUnsafeBytes { $0.baseAddress }
            large.consume(1)
            let after = large.withUnsafeBytes { $0.baseAddress }
            if left > 0, let before, let after, after != before + 1 { moves += 1 }
        }
        #expect(moves <= 14, "halving ten thousand")
    }

    /// A peer that takes `bytesPerSecond`, and at last `stopsAfter` nothing; looked at as the
    /// adapter does it. Returns when it was given up.
    private func giveUp(
        bytesPerSecond: Double, stopsAfter: Duration, until end: Duration
    ) -> Duration? {
        let start = Instant(nanoseconds: 1_000_000)
        func taken(_ now: Instant) -> Int64 {
            let seconds = min(now - start, stopsAfter).nanoseconds / 1_000_000_000
            return Int64(Double(seconds) * bytesPerSecond)
        }
        var deadlines = DeadlineQueue<Int>(timeout: .seconds(60))
        var progress = WriteProgress(taken: taken(start))
        _ = deadlines.start(0, now: start)
        while let now = deadlines.nextDeadline, now - start <= end {
            let expired = deadlines.popExpired(now: now)
            #expect(expired != nil)
            guard progress.look(taken: taken(now)) else { return now - start }
            _ = deadlines.start(0, now: now)
        }
        return nil
    }

    @Test("a reader of one byte a minute is waited for a day; one that stops is found in time")
    func writeProgress() {
        let day = Duration.seconds(86_400)
        #expect(giveUp(bytesPerSecond: 1.0 / 30, stopsAfter: day, until: day) == nil)
        #expect(giveUp(bytesPerSecond: 1e9, stopsAfter: day, until: day) == nil)
        #expect(giveUp(bytesPerSecond: 0, stopsAfter: day, until: day) == .seconds(60))
        let stopped = giveUp(bytesPerSecond: 5, stopsAfter: .seconds(90), until: day)
        #expect(stopped == .seconds(180), "between one and two timeouts after the last byte")
        var progress = WriteProgress(taken: 10)
        progress.advanced()
        // The queue was empty in between: what was taken then is not comparable.
        let looks = [progress.look(taken: 3), progress.look(taken: 3)]
        #expect(looks == [true, false])
    }

    @Test("a budget counts what is there, tells too much from too much now, and gets it all back")
    func budget() {
        var budget = BodyBudget(limit: 100)
        #expect(budget.verdict(count: 100) == .fits)
        #expect(budget.verdict(count: 101) == .never)
        budget.take(60)
        #expect(budget.verdict(count: 40) == .fits)
        #expect(budget.verdict(count: 41) == .later)
        #expect(budget.verdict(held: 60, count: 41) == .never, "alone it is too long already")
        #expect(budget.verdict(held: 60, count: 40) == .fits)
        budget.take(40)
        #expect(budget.verdict(held: 60, count: 40) == .later)
        #expect(budget.verdict(held: 60, count: 41) == .never)
        budget.giveBack(60)
        budget.giveBack(40)
        #expect(budget.used == 0)
        #expect(budget.verdict(held: .max, count: .max) == .never)
        #expect(BodyBudget(limit: -1).verdict(count: 1) == .never)
        #expect(BodyBudget(limit: -1).verdict(count: 0) == .fits)
    }
}
