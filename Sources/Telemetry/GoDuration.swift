/// A length of time as Go's tools write and read it: `300ms`, `1m30s`, `1.5h`, `0`.
///
/// A number, perhaps with a fraction, and a unit, as often as wanted; exact to the nanosecond
/// (what is finer is cut off), up to about 292 years.
/// Source: documentation of Go's `time.ParseDuration` and `Duration.String`.
public struct GoDuration: Hashable, Sendable, LosslessStringConvertible {
    /// The length of time itself; nanoseconds are its finest part in text.
    public var duration: Duration

    /// For printing `duration` as Go does.
    public init(_ duration: Duration) { self.duration = duration }

    /// Nil when `text` is no duration; `init(parsing:)` says why.
    public init?(_ text: String) {
        guard let value = try? GoDuration(parsing: text) else { return nil }
        self = value
    }

    /// Reads a whole text such as `1m30s`.
    ///
    /// - Throws: ``FormatError`` with the byte at which it stopped being a duration.
    public init(parsing text: String) throws(FormatError) {
        var parser = DurationParser(text: text, bytes: Array(text.utf8))
        duration = .nanoseconds(try parser.parse())
    }

    /// As Go prints it: `1h0m0s`, `1m30s`, `1.5s`, `50ms`, `300µs`, `0s`.
    public var description: String {
        let total = duration.nanoseconds
        let magnitude = total.magnitude
        let sign = total < 0 ? "-" : ""
        switch magnitude {
        case 0: return "0s"
        case ..<1_000: return "\(sign)\(magnitude)ns"
        case ..<1_000_000: return sign + decimal(magnitude, unit: 1_000) + "µs"
        case ..<1_000_000_000: return sign + decimal(magnitude, unit: 1_000_000) + "ms"
        default: break
        }
        let minutes = magnitude / 60_000_000_000
        let seconds = decimal(magnitude % 60_000_000_000, unit: 1_000_000_000) + "s"
        if minutes == 0 { return sign + seconds }
        if minutes < 60 { return "\(sign)\(minutes)m\(seconds)" }
        return "\(sign)\(minutes / 60)h\(minutes % 60)m\(seconds)"
    }

    /// `value / unit` with all its decimals and no trailing zeros.
    private func decimal(_ value: UInt64, unit: UInt64) -> String {
        var text = String(value / unit)
        var rest = value % unit
        guard rest != 0 else { return text }
        text += "."
        var place = unit / 10
        while rest != 0, place != 0 {
            text += String(rest / place)
            rest %= place
            place /= 10
        }
        return text
    }
}

private struct DurationParser {
    let text: String
    let bytes: [UInt8]
    var position = 0

    /// The whole text in nanoseconds.
    mutating func parse() throws(FormatError) -> Int64 {
        guard !bytes.isEmpty else { throw fail("a duration such as 50ms or 1m30s") }
        var isNegative = false
        if bytes[0] == UInt8(ascii: "-") || bytes[0] == UInt8(ascii: "+") {
            isNegative = bytes[0] == UInt8(ascii: "-")
            position = 1
        }
        if bytes[position...].elementsEqual("0".utf8) { return 0 }  // the one number without a unit
        var total: UInt64 = 0
        repeat {
            let term = try parseTerm()
            let (sum, overflow) = total.addingReportingOverflow(term)
            guard !overflow, sum <= UInt64(Int64.max) else { throw tooLong() }
            total = sum
        } while position < bytes.count
        return isNegative ? -Int64(total) : Int64(total)
    }

    /// One number with its unit, in nanoseconds.
    private mutating func parseTerm() throws(FormatError) -> UInt64 {
        let start = position
        guard let whole = parseDigits() else { throw tooLong() }
        var count = position - start
        var fraction: (digits: UInt64, scale: UInt64) = (0, 1)
        if position < bytes.count, bytes[position] == UInt8(ascii: ".") {
            position += 1
            let first = position
            while position < bytes.count, isDigit(bytes[position]) {
                if position - first < 18 {  // finer digits are far below a nanosecond
                    let digit = UInt64(bytes[position] - 0x30)
                    fraction = (fraction.digits * 10 + digit, fraction.scale * 10)
                }
                position += 1
            }
            count += position - first
        }
        guard count > 0 else { throw fail("a number such as 1.5", at: start) }
        let unit = try parseUnit()
        let (product, overflow) = whole.multipliedReportingOverflow(by: unit)
        let wide = fraction.digits.multipliedFullWidth(by: unit)
        // The fraction is below one, so the quotient is below the unit and fits.
        let (part, _) = fraction.scale.dividingFullWidth(wide)
        let (sum, carried) = product.addingReportingOverflow(part)
        guard !overflow, !carried else { throw tooLong() }
        return sum
    }

    /// The digits at the position; nil when their number does not fit.
    private mutating func parseDigits() -> UInt64? {
        var value: UInt64 = 0
        while position < bytes.count, isDigit(bytes[position]) {
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(UInt64(bytes[position] - 0x30))
            if tooLarge || carried { return nil }
            value = sum
            position += 1
        }
        return value
    }

    private mutating func parseUnit() throws(FormatError) -> UInt64 {
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "."),
            !isDigit(bytes[position])
        {
            position += 1
        }
        switch String(decoding: bytes[start..<position], as: UTF8.self) {
        case "ns": return 1
        case "us", "\u{B5}s", "\u{3BC}s": return 1_000
        case "ms": return 1_000_000
        case "s": return 1_000_000_000
        case "m": return 60_000_000_000
        case "h": return 3_600_000_000_000
        default: throw fail("one of the units ns, us, ms, s, m, h", at: start)
        }
    }

    private func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 <= 9 }

    private func tooLong() -> FormatError { fail("at most 292 years", at: 0) }

    private func fail(_ expected: String, at offset: Int? = nil) -> FormatError {
        FormatError(text: text, offset: offset ?? position, expected: expected)
    }
}
