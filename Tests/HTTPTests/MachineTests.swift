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
