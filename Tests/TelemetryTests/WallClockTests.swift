import Foundation
import Pacing
import Telemetry
import Testing

@Suite struct WallClockTests {
    @Test(
        "moments are written as Go writes RFC3339Nano, trailing zeros cut",
        arguments: [
            (0, "1970-01-01T00:00:00Z"),
            (1_795_234_498_646_170_820, "2026-11-21T04:14:58.64617082Z"),
            (1_795_234_498_000_000_001, "2026-11-21T04:14:58.000000001Z"),
            (1_795_234_498_500_000_000, "2026-11-21T04:14:58.5Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00Z"),
            (951_868_800_000_000_000, "2000-03-01T00:00:00Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999999Z"),
            (Int64.max, "2262-04-11T23:47:16.854775807Z"),
            (Int64.min, "1677-09-21T00:12:43.145224192Z"),
        ] as [(Int64, String)])
    func formatted(_ nanoseconds: Int64, _ text: String) throws {
        let moment = WallClock(nanosecondsSinceEpoch: nanoseconds)
        #expect(moment.description == text)
        #expect(try WallClock(parsing: text) == moment)
    }

    @Test("the prefix of a log line is Go's")
    func logPrefix() {
        let moment = WallClock(nanosecondsSinceEpoch: 1_795_234_498_646_170_820)
        #expect(moment.logPrefix == "2026/11/21 04:14:58 ")
    }

    @Test("any second has the date that the C library gives it")
    func againstTheLibrary() {
        var random = SeededRandom(seed: 1582)
        for _ in 0..<20_000 {
            let seconds = Int64.random(in: -9_223_372_036...9_223_372_036, using: &random)
            var time = time_t(seconds)
            var parts = tm()
            gmtime_r(&time, &parts)
            let text = String(
                format: "%04d-%02d-%02dT%02d:%02d:%02dZ", Int(parts.tm_year) + 1900,
                Int(parts.tm_mon) + 1, Int(parts.tm_mday), Int(parts.tm_hour), Int(parts.tm_min),
                Int(parts.tm_sec))
            let moment = WallClock(nanosecondsSinceEpoch: seconds * 1_000_000_000)
            #expect(moment.description == text)
        }
    }

    @Test("every day of a thousand years comes back from its number, in order and existing")
    func days() {
        var previous = CivilDate(daysSinceEpoch: -200_001)
        for days in -200_000...200_000 {
            let date = CivilDate(daysSinceEpoch: days)
            #expect(date.daysSinceEpoch == days)
            #expect(date.exists)
            let isNext =
                date.day == previous.day + 1
                || date.day == 1 && (date.month == previous.month + 1 || date.month == 1)
            #expect(isNext)
            previous = date
        }
        #expect(!CivilDate(year: 2100, month: 2, day: 29).exists)
        #expect(!CivilDate(year: 2026, month: 13, day: 1).exists)
        #expect(!CivilDate(year: 2026, month: 4, day: 31).exists)
        #expect(!CivilDate(year: 2026, month: 4, day: 0).exists)
    }

    @Test("whatever is written is read back, to the nanosecond")
    func roundTrip() throws {
        var random = SeededRandom(seed: 3339)
        for _ in 0..<20_000 {
            let moment = WallClock(nanosecondsSinceEpoch: Int64(bitPattern: random.next()))
            #expect(try WallClock(parsing: moment.description) == moment)
        }
    }

    @Test(
        "offsets, small letters and more decimals than nine are understood",
        arguments: [
            ("2026-11-21T06:14:58.64617082+02:00", 1_795_234_498_646_170_820),
            ("2026-11-20T23:44:58.64617082-04:30", 1_795_234_498_646_170_820),
            ("2026-11-21t04:14:58z", 1_795_234_498_000_000_000),
            ("2026-11-21T04:14:58.1234567899999Z", 1_795_234_498_123_456_789),
            ("2026-11-21T04:14:58.000Z", 1_795_234_498_000_000_000),
        ] as [(String, Int64)])
    func parsed(_ text: String, _ nanoseconds: Int64) throws {
        #expect(try WallClock(parsing: text).nanosecondsSinceEpoch == nanoseconds)
    }

    @Test(
        "what is no moment is refused with the place and what was expected there",
        arguments: [
            ("", 0, "a year of four digits"), ("26-11-21", 2, "a year of four digits"),
            ("2026/11/21", 4, "'-' after the year"), ("2026-13-21", 5, "a month from 01 to 12"),
            ("2026-00-21", 5, "a month from 01 to 12"), ("2026-11-32", 8, "a day from 01 to 31"),
            ("2026-02-29T", 8, "a day that this month has"),
            ("2026-11-21 04:14", 10, "T between date and time"),
            ("2026-11-21T24:00:00Z", 11, "an hour from 00 to 23"),
            ("2026-11-21T04:60:00Z", 14, "a minute from 00 to 59"),
            ("2026-11-21T04:14:60Z", 17, "a second from 00 to 59"),
            ("2026-11-21T04:14:58", 19, "Z or an offset such as +02:00"),
            ("2026-11-21T04:14:58.Z", 20, "a digit after the point"),
            ("2026-11-21T04:14:58+0200", 22, "':' in the offset"),
            ("2026-11-21T04:14:58Z ", 20, "nothing after the zone"),
            ("2263-01-01T00:00:00Z", 0, "a year from 1678 to 2261"),
            ("0000-01-01T00:00:00Z", 0, "a year from 1678 to 2261"),
        ])
    func refused(_ text: String, _ offset: Int, _ expected: String) {
        let error = #expect(throws: FormatError.self) { try WallClock(parsing: text) }
        #expect(error == FormatError(text: text, offset: offset, expected: expected))
    }

    @Test("sums and differences saturate at the ends of the range")
    func saturation() {
        let end = WallClock(nanosecondsSinceEpoch: .max)
        let start = WallClock(nanosecondsSinceEpoch: .min)
        #expect(end + .seconds(1) == end)
        #expect(start + .seconds(-1) == start)
        #expect(end - start == .nanoseconds(Int64.max))
        #expect(start - end == .nanoseconds(-Int64.max))
        #expect((end - .init(nanosecondsSinceEpoch: .max - 5)) == .nanoseconds(5))
    }
}
