import Pacing
import Telemetry
import Testing

@Suite struct GoDurationTests {
    @Test(
        "durations are read as Go reads them",
        arguments: [
            ("0", 0), ("0s", 0), ("-0", 0), ("50ms", 50_000_000), ("300us", 300_000),
            ("300µs", 300_000), ("300\u{3BC}s", 300_000), ("7ns", 7), ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000), ("2h3m0.5s", 7_380_500_000_000), (".5s", 500_000_000),
            ("1.s", 1_000_000_000), ("-1.5ms", -1_500_000), ("+5s", 5_000_000_000),
            ("1s1s", 2_000_000_000), ("0.1234567899s", 123_456_789), ("0.9ns", 0),
            ("1.00000000000000000000000000001h", 3_600_000_000_000),
            ("9223372036854775807ns", Int64.max), ("2562047h47m16.854775807s", Int64.max),
        ] as [(String, Int64)])
    func parsed(_ text: String, _ nanoseconds: Int64) throws {
        #expect(try GoDuration(parsing: text).duration == .nanoseconds(nanoseconds))
    }

    @Test(
        "what is no duration is refused with the place and what was expected there",
        arguments: [
            ("", 0, "a duration such as 50ms or 1m30s"), ("-", 1, "a number such as 1.5"),
            ("5", 1, "one of the units ns, us, ms, s, m, h"),
            ("5 s", 1, "one of the units ns, us, ms, s, m, h"),
            ("5sec", 1, "one of the units ns, us, ms, s, m, h"),
            ("1m30", 4, "one of the units ns, us, ms, s, m, h"),
            ("1d", 1, "one of the units ns, us, ms, s, m, h"),
            ("s", 0, "a number such as 1.5"), (".s", 0, "a number such as 1.5"),
            ("1.2.3s", 3, "one of the units ns, us, ms, s, m, h"),
            ("00", 2, "one of the units ns, us, ms, s, m, h"),
            ("ten seconds", 0, "a number such as 1.5"), ("--5s", 1, "a number such as 1.5"),
            ("9223372036854775808ns", 0, "at most 292 years"),
            ("2562048h", 0, "at most 292 years"), ("99999999999999999999h", 0, "at most 292 years"),
            ("2562047h47m17s", 0, "at most 292 years"),
        ])
    func refused(_ text: String, _ offset: Int, _ expected: String) {
        let error = #expect(throws: FormatError.self) { try GoDuration(parsing: text) }
        #expect(error == FormatError(text: text, offset: offset, expected: expected))
        #expect(GoDuration(text) == nil)
    }

    @Test(
        "durations are written as Go writes them",
        arguments: [
            (0, "0s"), (7, "7ns"), (300_000, "300µs"), (1_100, "1.1µs"), (50_000_000, "50ms"),
            (1_500_000_000, "1.5s"), (90_000_000_000, "1m30s"), (60_000_000_000, "1m0s"),
            (3_600_000_000_000, "1h0m0s"), (5_400_000_000_001, "1h30m0.000000001s"),
            (-1_500_000, "-1.5ms"), (Int64.max, "2562047h47m16.854775807s"),
        ] as [(Int64, String)])
    func formatted(_ nanoseconds: Int64, _ text: String) {
        #expect(GoDuration(.nanoseconds(nanoseconds)).description == text)
    }

    @Test("whatever is written is read back, to the nanosecond")
    func roundTrip() throws {
        var random = SeededRandom(seed: 60)
        for _ in 0..<20_000 {
            let shift = Int64.random(in: 1..<63, using: &random)
            let value = GoDuration(.nanoseconds(Int64(bitPattern: random.next()) >> shift))
            #expect(try GoDuration(parsing: value.description) == value)
        }
    }

    @Test("an error is one line for a person")
    func words() {
        let error = #expect(throws: FormatError.self) { try GoDuration(parsing: "100") }
        #expect(
            error?.description
                == "\"100\": expected one of the units ns, us, ms, s, m, h at byte 3")
    }
}
