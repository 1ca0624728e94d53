import Pacing

/// A moment of civil time: what goes into results and logs. Never used to measure a length of time
/// (`Instant` is for that), because the machine's clock may be set at any moment.
public struct WallClock: Hashable, Comparable, Sendable {
    /// Nanoseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX).
    /// Covers the years 1678 to 2261.
    public var nanosecondsSinceEpoch: Int64

    /// The moment that many nanoseconds after 1970-01-01T00:00:00Z.
    public init(nanosecondsSinceEpoch: Int64) {
        self.nanosecondsSinceEpoch = nanosecondsSinceEpoch
    }

    public static func < (a: WallClock, b: WallClock) -> Bool {
        a.nanosecondsSinceEpoch < b.nanosecondsSinceEpoch
    }

    /// Saturates at the ends of the range.
    public static func + (moment: WallClock, duration: Duration) -> WallClock {
        let (sum, overflow) = moment.nanosecondsSinceEpoch.addingReportingOverflow(
            duration.nanoseconds)
        guard overflow else { return WallClock(nanosecondsSinceEpoch: sum) }
        return WallClock(nanosecondsSinceEpoch: duration < .zero ? .min : .max)
    }

    /// The time from `b` to `a`; negative when `a` is the earlier one. Saturates.
    public static func - (a: WallClock, b: WallClock) -> Duration {
        let (difference, overflow) = a.nanosecondsSinceEpoch.subtractingReportingOverflow(
            b.nanosecondsSinceEpoch)
        guard overflow else { return .nanoseconds(difference) }
        return .nanoseconds(a < b ? Int64.min + 1 : Int64.max)
    }
}

extension WallClock: CustomStringConvertible {
    /// RFC 3339 in UTC with nanoseconds, their trailing zeros cut: `2026-11-21T04:14:58.64617082Z`.
    public var description: String {
        var bytes: [UInt8] = []
        appendRFC3339(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Adds what `description` says, without making a string of it.
    public func appendRFC3339(to bytes: inout [UInt8]) {
        let (seconds, nanoseconds) = split
        bytes.reserveCapacity(bytes.count + 30)
        Self.appendSecond(seconds, ("-", "T"), to: &bytes)
        if nanoseconds != 0 {
            bytes.append(UInt8(ascii: "."))
            var rest = nanoseconds
            var place: Int64 = 100_000_000
            while rest != 0 {
                bytes.append(0x30 + UInt8(truncatingIfNeeded: rest / place))
                rest %= place
                place = max(1, place / 10)
            }
        }
        bytes.append(UInt8(ascii: "Z"))
    }

    /// The prefix of a line of Go's logger, in UTC, space included: `2026/11/21 04:14:58 `.
    public func appendLogPrefix(to bytes: inout [UInt8]) {
        Self.appendSecond(split.seconds, ("/", " "), to: &bytes)
        bytes.append(UInt8(ascii: " "))
    }

    /// What `appendLogPrefix` adds.
    public var logPrefix: String {
        var bytes: [UInt8] = []
        appendLogPrefix(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private var split: (seconds: Int64, nanoseconds: Int64) {
        let seconds = nanosecondsSinceEpoch.floorDivided(by: 1_000_000_000)
        // Wrapping: before 1678 the product leaves the range, and comes back in the difference.
        return (seconds, nanosecondsSinceEpoch &- seconds &* 1_000_000_000)
    }

    private static func appendSecond(
        _ seconds: Int64, _ separators: (Unicode.Scalar, Unicode.Scalar), to bytes: inout [UInt8]
    ) {
        let days = seconds.floorDivided(by: 86_400)
        let second = Int(seconds - days * 86_400)
        let date = CivilDate(daysSinceEpoch: Int(days))
        let dateSeparator = UInt8(ascii: separators.0)
        appendTwoDigits(date.year / 100, to: &bytes)
        appendTwoDigits(date.year % 100, to: &bytes)
        bytes.append(dateSeparator)
        appendTwoDigits(date.month, to: &bytes)
        bytes.append(dateSeparator)
        appendTwoDigits(date.day, to: &bytes)
        bytes.append(UInt8(ascii: separators.1))
        appendTwoDigits(second / 3600, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        appendTwoDigits(second / 60 % 60, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        appendTwoDigits(second % 60, to: &bytes)
    }

    private static func appendTwoDigits(_ value: Int, to bytes: inout [UInt8]) {
        bytes.append(0x30 + UInt8(truncatingIfNeeded: value / 10))
        bytes.append(0x30 + UInt8(truncatingIfNeeded: value % 10))
    }
}

extension WallClock {
    /// Reads RFC 3339 section 5.6: date, `T`, time, any number of decimals (those past nanoseconds
    /// are cut off), and `Z` or an offset. A leap second (`:60`) is refused, as POSIX time has
    /// none.
    public init(parsing text: String) throws(FormatError) {
        var parser = TimeParser(text: text, bytes: Array(text.utf8))
        self = try parser.parse()
    }
}

private struct TimeParser {
    let text: String
    let bytes: [UInt8]
    var position = 0

    mutating func parse() throws(FormatError) -> WallClock {
        let year = try number(digits: 4, in: 0...9999, "a year of four digits")
        try take("-", "'-' after the year")
        let month = try number(digits: 2, in: 1...12, "a month from 01 to 12")
        try take("-", "'-' after the month")
        let dayOffset = position
        let day = try number(digits: 2, in: 1...31, "a day from 01 to 31")
        let date = CivilDate(year: year, month: month, day: day)
        guard date.exists else { throw fail("a day that this month has", at: dayOffset) }
        try take("Tt", "T between date and time")
        let hour = try number(digits: 2, in: 0...23, "an hour from 00 to 23")
        try take(":", "':' after the hour")
        let minute = try number(digits: 2, in: 0...59, "a minute from 00 to 59")
        try take(":", "':' after the minute")
        let second = try number(digits: 2, in: 0...59, "a second from 00 to 59")
        let nanoseconds = try fraction()
        let offsetSeconds = try zone()
        guard position == bytes.count else { throw fail("nothing after the zone") }
        let seconds =
            date.daysSinceEpoch * 86_400 + hour * 3600 + minute * 60 + second - offsetSeconds
        // Towards zero first, so that neither step leaves the range where the result does not.
        let (whole, rest) =
            seconds < 0
            ? (Int64(seconds + 1), nanoseconds - 1_000_000_000) : (Int64(seconds), nanoseconds)
        let (product, overflow) = whole.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, carried) = product.addingReportingOverflow(rest)
        guard !overflow, !carried else { throw fail("a year from 1678 to 2261", at: 0) }
        return WallClock(nanosecondsSinceEpoch: sum)
    }

    private mutating func number(
        digits: Int, in range: ClosedRange<Int>, _ expected: String
    ) throws(FormatError) -> Int {
        let start = position
        var value = 0
        while position < start + digits {
            guard position < bytes.count, bytes[position] &- 0x30 <= 9 else { throw fail(expected) }
            value = value * 10 + Int(bytes[position] - 0x30)
            position += 1
        }
        guard range.contains(value) else { throw fail(expected, at: start) }
        return value
    }

    private mutating func take(_ accepted: StaticString, _ expected: String) throws(FormatError) {
        let isThere = accepted.withUTF8Buffer {
            position < bytes.count && $0.contains(bytes[position])
        }
        guard isThere else { throw fail(expected) }
        position += 1
    }

    private mutating func fraction() throws(FormatError) -> Int64 {
        guard position < bytes.count, bytes[position] == UInt8(ascii: ".") else { return 0 }
        position += 1
        let start = position
        var nanoseconds: Int64 = 0
        var place: Int64 = 100_000_000
        while position < bytes.count, bytes[position] &- 0x30 <= 9 {
            nanoseconds += Int64(bytes[position] - 0x30) * place
            place /= 10
            position += 1
        }
        guard position > start else { throw fail("a digit after the point") }
        return nanoseconds
    }

    /// Seconds by which local time is ahead of UTC.
    private mutating func zone() throws(FormatError) -> Int {
        let expected = "Z or an offset such as +02:00"
        guard position < bytes.count else { throw fail(expected) }
        let first = bytes[position]
        if first == UInt8(ascii: "Z") || first == UInt8(ascii: "z") {
            position += 1
            return 0
        }
        guard first == UInt8(ascii: "+") || first == UInt8(ascii: "-") else { throw fail(expected) }
        position += 1
        let hours = try number(digits: 2, in: 0...23, "an offset's hours from 00 to 23")
        try take(":", "':' in the offset")
        let minutes = try number(digits: 2, in: 0...59, "an offset's minutes from 00 to 59")
        let seconds = hours * 3600 + minutes * 60
        return first == UInt8(ascii: "-") ? -seconds : seconds
    }

    private func fail(_ expected: String, at offset: Int? = nil) -> FormatError {
        FormatError(text: text, offset: offset ?? position, expected: expected)
    }
}
