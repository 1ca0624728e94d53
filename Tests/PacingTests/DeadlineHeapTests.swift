import Pacing
import Testing

@Suite struct DeadlineHeapTests {
    private let t0 = Instant(nanoseconds: 1_000_000)

    @Test("the earliest expires first, whoever started first, and not before its time")
    func order() {
        var heap = DeadlineHeap<String>()
        _ = heap.start("late", at: t0 + .seconds(3))
        _ = heap.start("early", at: t0 + .seconds(1))
        _ = heap.start("middle", at: t0 + .seconds(2))
        #expect(heap.nextDeadline == t0 + .seconds(1) && heap.count == 3)
        #expect(heap.popExpired(now: t0 + .milliseconds(999)) == nil)
        #expect(heap.popExpired(now: t0 + .seconds(1)) == "early")
        #expect(heap.popExpired(now: t0 + .seconds(1)) == nil)
        #expect(heap.popExpired(now: t0 + .seconds(9)) == "middle")
        #expect(heap.popExpired(now: t0 + .seconds(9)) == "late")
        #expect(heap.isEmpty && heap.nextDeadline == nil)
    }

    @Test("a token of a former entry, and one of none, cancel nobody else's deadline")
    func staleToken() {
        var heap = DeadlineHeap<String>()
        let old = heap.start("old", at: t0)
        #expect(heap.cancel(old) == "old")
        let new = heap.start("new", at: t0)  // takes the freed place
        #expect(heap.cancel(old) == nil && heap.cancel(.none) == nil)
        #expect(heap.popExpired(now: t0) == "new" && heap.cancel(new) == nil)
    }

    @Test("it does what a sorted list of deadlines does, under any sequence of calls")
    func againstModel() {
        for seed in 0..<100 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var heap = DeadlineHeap<Int>()
            var model: [Int: Instant] = [:]
            var tokens: [(id: Int, token: DeadlineToken)] = []
            var now = t0
            for id in 0..<500 {
                now += random.duration(in: .zero ... .milliseconds(5))
                switch Int.random(in: 0..<5, using: &random) {
                case 0...2:
                    // Coarse, so that many fall together.
                    let wait = Int.random(in: 0...20, using: &random) * 5
                    tokens.append((id, heap.start(id, at: now + .milliseconds(wait))))
                    model[id] = now + .milliseconds(wait)
                case 3:
                    guard let (old, token) = tokens.randomElement(using: &random) else { continue }
                    let expected = model.removeValue(forKey: old) == nil ? nil : old
                    #expect(heap.cancel(token) == expected)
                default:
                    while let expired = heap.popExpired(now: now) {
                        let deadline = model.removeValue(forKey: expired)
                        let earliest = model.values.min() ?? deadline
                        #expect(deadline != nil && deadline ?? now <= now)
                        #expect(deadline ?? now <= earliest ?? now)
                    }
                    #expect(!model.values.contains { $0 <= now })
                }
                #expect(heap.count == model.count && heap.nextDeadline == model.values.min())
            }
        }
    }
}
