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

    @Test(
        "nanoseconds are those of the seconds and the attoseconds, whatever the size",
        arguments: [
            0, 1, -1, 999_999_999, -1_500_000_000, 18_446_744_073, 18_446_744_074,
            18_400_000_000_000_000_000, -9_223_372_036_854_775_807,
        ] as [Int128])
    func nanoseconds(attoseconds: Int128) {
        for scale: Int128 in [1, 1_000_000_000] {
            let duration = Duration(attoseconds: attoseconds * scale)
            let exact = attoseconds * scale / 1_000_000_000
            let limit = Int128(Int64.max)
            #expect(Int128(duration.nanoseconds) == min(max(exact, -limit), limit))
        }
        let moment = Instant(nanoseconds: 1 << 62)
        let whole = Int64(clamping: attoseconds / 4)
        #expect((moment + .nanoseconds(whole)) - moment == .nanoseconds(whole))
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
