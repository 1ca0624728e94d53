import Pacing
import Testing

@Suite struct DeadlineQueueTests {
    private let t0 = Instant(nanoseconds: 1_000_000)

    @Test("what starts first expires first, and not before its time")
    func order() {
        var queue = DeadlineQueue<String>(timeout: .seconds(1))
        _ = queue.start("a", now: t0)
        _ = queue.start("b", now: t0 + .milliseconds(1))
        #expect(queue.nextDeadline == t0 + .seconds(1))
        #expect(queue.popExpired(now: t0 + .milliseconds(999)) == nil)
        #expect(queue.popExpired(now: t0 + .seconds(1)) == "a")
        #expect(queue.popExpired(now: t0 + .seconds(1)) == nil)
        #expect(queue.popExpired(now: t0 + .milliseconds(1001)) == "b")
        #expect(queue.isEmpty && queue.nextDeadline == nil)
    }

    @Test("a token of a former entry moves nobody else's deadline")
    func staleToken() {
        var queue = DeadlineQueue<String>(timeout: .seconds(1))
        let old = queue.start("old", now: t0)
        #expect(queue.cancel(old) == "old")
        _ = queue.start("new", now: t0)  // takes the freed place
        queue.restart(old, now: t0 + .seconds(5))
        #expect(queue.cancel(old) == nil)
        #expect(queue.nextDeadline == t0 + .seconds(1))
    }

    @Test("it does what a sorted list of deadlines does, under any sequence of calls")
    func againstModel() {
        for seed in 0..<50 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var queue = DeadlineQueue<Int>(timeout: .milliseconds(100))
            var model: [(id: Int, deadline: Instant)] = []
            var tokens: [(Int, DeadlineToken)] = []
            var now = t0
            for id in 0..<400 {
                now += random.duration(in: .zero ... .milliseconds(10))
                switch Int.random(in: 0..<4, using: &random) {
                case 0, 1:
                    tokens.append((id, queue.start(id, now: now)))
                    model.append((id, now + .milliseconds(100)))
                case 2:
                    guard let (old, token) = tokens.randomElement(using: &random) else { continue }
                    queue.restart(token, now: now)
                    if let index = model.firstIndex(where: { $0.id == old }) {
                        model.remove(at: index)
                        model.append((old, now + .milliseconds(100)))
                    }
                default:
                    guard let (old, token) = tokens.randomElement(using: &random) else { continue }
                    let expected = model.contains { $0.id == old } ? old : nil
                    #expect(queue.cancel(token) == expected)
                    model.removeAll { $0.id == old }
                }
                while let expired = queue.popExpired(now: now) {
                    #expect(model.first?.id == expired)
                    model.removeFirst()
                }
                #expect(queue.nextDeadline == model.first?.deadline)
                #expect(queue.count == model.count)
            }
        }
    }
}
