import Pacing
import Testing

@Suite struct InstantTests {
    @Test("sums and differences undo each other, also backwards")
    func arithmetic() {
        let t = Instant(nanoseconds: 5_000)
        #expect((t + .nanoseconds(250)) - t == .nanoseconds(250))
        #expect(t - (t + .nanoseconds(250)) == .nanoseconds(-250))
        #expect((t - .microseconds(5)).nanoseconds == 0)
    }

    @Test("the ends of the clock saturate instead of trapping")
    func saturation() {
        #expect(Instant(nanoseconds: 10) - .seconds(1) == Instant(nanoseconds: 0))
        #expect(Instant(nanoseconds: .max - 1) + .seconds(1) == Instant(nanoseconds: .max))
        #expect(Duration.seconds(Int64.max).nanoseconds == .max)
        #expect(Duration.seconds(-Int64.max).nanoseconds == -.max)
    }

    @Test("a seed gives the same sequence every time, and another seed another")
    func seeded() {
        var a = SeededRandom(seed: 7)
        var b = SeededRandom(seed: 7)
        var c = SeededRandom(seed: 8)
        let first = (0..<100).map { _ in a.next() }
        #expect(first == (0..<100).map { _ in b.next() })
        #expect(first != (0..<100).map { _ in c.next() })
    }
}
