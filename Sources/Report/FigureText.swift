/// Figures as people read them: grouped thousands, three significant digits, a unit that fits.
public enum FigureText {
    /// Stands where nothing was measured.
    public static let nothing = "–"
    /// Between a number and its unit, which stay on one line.
    static let space = "\u{A0}"

    /// `12,345`
    public static func count(_ value: some BinaryInteger) -> String { grouped("\(value)") }

    /// Three significant digits and the unit that fits: `165 ms`, `1.20 s`, `0 s`; a dash for nil.
    public static func duration(_ duration: Duration?) -> String {
        guard let duration else { return nothing }
        return self.duration(seconds: duration.inSeconds)
    }

    /// A moment of a run, in seconds to the millisecond: `4.021 s`; a dash for nil.
    public static func moment(_ moment: Duration?) -> String {
        guard let moment else { return nothing }
        return "\(decimal(moment.inSeconds, places: 3))\(space)s"
    }

    /// A share of one as percent: `12.5 %`; 100 % and 0 % only where it is exactly that.
    public static func percent(_ share: Double) -> String {
        guard share.isFinite else { return nothing }
        let percent = share * 100
        var text = significant(percent, digits: 3)
        if percent < 100, decimal(percent, places: 1) == "100.0" { text = ">99.9" }
        if percent > 0, percent < 0.001 { text = "<0.001" }
        return "\(text)\(space)%"
    }

    /// A number with three significant digits, thousands grouped: `4,321`, `43.2`, `0.0432`.
    public static func number(_ value: Double) -> String { significant(value, digits: 3) }

    static func duration(seconds: Double, digits: Int = 3) -> String {
        guard seconds.isFinite else { return nothing }
        let size = seconds.magnitude
        // Half of the last digit below the next unit, 999.6 ms is written 1.00 s.
        switch size {
        case 0: return "0\(space)s"
        case ..<0.9995e-6: return "\(significant(seconds * 1e9, digits: digits))\(space)ns"
        case ..<0.9995e-3: return "\(significant(seconds * 1e6, digits: digits))\(space)µs"
        case ..<0.9995: return "\(significant(seconds * 1e3, digits: digits))\(space)ms"
        default: return "\(significant(seconds, digits: digits))\(space)s"
        }
    }

    /// For the ticks of one axis: all in the unit that fits its largest value.
    static func duration(seconds: Double, step: Double, largest: Double) -> String {
        let (unit, name) =
            switch largest {
            case ..<0.9995e-6: (1e-9, "ns")
            case ..<0.9995e-3: (1e-6, "µs")
            case ..<0.9995: (1e-3, "ms")
            default: (1, "s")
            }
        return "\(tick(seconds / unit, step: step / unit))\(space)\(name)"
    }

    /// Without an exponent, and without digits that say nothing.
    static func significant(_ value: Double, digits: Int) -> String {
        guard value.isFinite else { return nothing }
        var places = digits - 1
        var size = value.magnitude
        if size == 0 { return "0" }
        while size >= 9.995, places > 0 {
            size /= 10
            places -= 1
        }
        while size < 0.9995, places < 9 {
            size *= 10
            places += 1
        }
        return decimal(value, places: places)
    }

    /// So many digits behind the point, rounded, thousands grouped.
    static func decimal(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        guard value.isFinite, let scaled = Int64(exactly: (value * scale).rounded()) else {
            return value.isFinite ? "\(value)" : nothing
        }
        let unit = UInt64(scale)
        let whole = grouped("\(scaled.magnitude / unit)")
        let sign = scaled < 0 ? "−" : ""
        guard places > 0 else { return sign + whole }
        let fraction = "\(scaled.magnitude % unit)"
        let zeros = String(repeating: "0", count: places - fraction.utf8.count)
        return "\(sign)\(whole).\(zeros)\(fraction)"
    }

    /// For axes: as few digits as the step needs, `0.5`, `20`, `1,000`, `120k`, `3,000M`.
    static func tick(_ value: Double, step: Double) -> String {
        if value == 0, step >= 1e4 { return "0" }
        if step >= 1e7 { return decimal(value / 1e6, places: 0) + "M" }
        if step >= 1e4 { return decimal(value / 1e3, places: 0) + "k" }
        var places = 0
        var size = step.magnitude
        while size > 0, size < 0.9995, places < 9 {
            size *= 10
            places += 1
        }
        return decimal(value, places: places)
    }

    private static func grouped(_ digits: String) -> String {
        let isNegative = digits.hasPrefix("-")
        let plain = isNegative ? digits.dropFirst() : Substring(digits)
        guard plain.utf8.count > 3 else { return isNegative ? "−\(plain)" : String(plain) }
        var text = isNegative ? "−" : ""
        for (index, digit) in plain.enumerated() {
            if index > 0, (plain.utf8.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return text
    }
}

/// A number for an attribute of SVG: at most two decimals, no exponent.
func svg(_ value: Double) -> String {
    guard value.isFinite else { return "0" }
    let limited = min(max(value, -1e9), 1e9)
    let scaled = Int64((limited * 100).rounded())
    let (whole, rest) = scaled.magnitude.quotientAndRemainder(dividingBy: 100)
    let sign = scaled < 0 ? "-" : ""
    if rest == 0 { return "\(sign)\(whole)" }
    return rest % 10 == 0
        ? "\(sign)\(whole).\(rest / 10)" : "\(sign)\(whole).\(rest < 10 ? "0" : "")\(rest)"
}

/// A share of the plot's width as an attribute.
func percent(_ fraction: Double) -> String { svg(fraction * 100) + "%" }

extension Duration {
    /// With its fraction.
    var inSeconds: Double { self / .seconds(1) }
}
