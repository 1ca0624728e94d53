/// Figures as people read them, without Foundation.
enum BenchText {
    /// `2.031 s`.
    static func seconds(_ nanoseconds: Int64) -> String { fixed(nanoseconds, 1_000_000_000) + " s" }

    /// `0.412 ms`.
    static func milliseconds(_ nanoseconds: Int64) -> String {
        fixed(nanoseconds, 1_000_000) + " ms"
    }

    /// With three decimals; what is finer is rounded.
    static func fixed(_ value: Int64, _ unit: Int64) -> String {
        let isNegative = value < 0
        let magnitude = value.magnitude
        let divisor = UInt64(unit) / 1000
        let (sum, overflow) = magnitude.addingReportingOverflow(divisor / 2)
        let thousandths = (overflow ? magnitude : sum) / divisor
        let digits = String(thousandths % 1000)
        let zeros = String(repeating: "0", count: 3 - digits.count)
        return "\(isNegative && thousandths > 0 ? "-" : "")\(thousandths / 1000).\(zeros)\(digits)"
    }

    /// With spaces in front, to a width.
    static func right(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }

    /// With spaces behind, to a width; too long a text is cut.
    static func left(_ text: String, _ width: Int) -> String {
        text.count > width
            ? text.prefix(width - 1) + "…"
            : text + String(repeating: " ", count: width - text.count)
    }

    /// `1 request`, `2 requests`.
    static func count(_ number: Int, _ noun: String) -> String {
        "\(number) \(noun)\(number == 1 ? "" : "s")"
    }

    /// `12 (connection reset 7, 502 5)`, the most frequent first.
    static func failures(_ period: TimelinePeriod) -> String {
        if period.failures.isEmpty { return "0" }
        return "\(period.failureCount) (\(kinds(period.failures)))"
    }

    /// `connection reset 7, 502 5`, the most frequent first.
    static func kinds(_ counts: [RequestOutcome: Int]) -> String {
        counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            .map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    /// A name as it may stand on a terminal.
    static func printable(_ name: String) -> String {
        String(
            String.UnicodeScalarView(
                name.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }))
    }
}
