import Telemetry

/// What a run must not do: `latency.p99 > 200ms`, `undetected > 0`, `misses[refused].count >= 10`.
///
/// A figure's key, a distribution's and a statistic, or a breakdown's with a row and a column; then
/// `>`, `>=`, `<`, `<=`, `==` or `!=`; then a number, with a unit where the figure has one.
public struct Threshold: Equatable, Sendable {
    /// As it was written.
    public let text: String
    private let key: String
    private let comparison: Comparison
    private let number: Double
    private let unit: String

    private enum Comparison: String, CaseIterable {
        // Those of two characters first: the shorter ones are their beginnings.
        case atLeast = ">=", atMost = "<=", equal = "==", different = "!=", above = ">", below = "<"

        var isEquality: Bool { self == .equal || self == .different }

        func holds(_ value: Double, _ limit: Double) -> Bool {
            switch self {
            case .atLeast: value >= limit
            case .atMost: value <= limit
            case .equal: value == limit
            case .different: value != limit
            case .above: value > limit
            case .below: value < limit
            }
        }
    }

    /// What a result says to a threshold.
    public enum Verdict: Equatable, Sendable {
        /// It is not so, and that is good.
        case kept
        /// It is so.
        case broken
        /// Where the truth lies within the figure's bounds decides, and nobody knows.
        case undecided
        /// The figure is not known.
        case unknown
    }

    /// Reads one.
    /// - Throws: ``FormatError`` for what is none; whether a result has such a figure, and in such
    ///   a unit, ``check(_:)`` tells.
    public init(parsing text: String) throws(FormatError) {
        func fail(_ expected: String, at offset: Int) -> FormatError {
            FormatError(text: text, offset: offset, expected: expected)
        }
        let bytes = Array(text.utf8)
        let signs = Array("<>=!".utf8)
        // Not within the brackets: names of rows may have any character.
        var depth = 0
        let start = bytes.firstIndex { byte in
            if byte == UInt8(ascii: "[") { depth += 1 }
            if byte == UInt8(ascii: "]") { depth -= 1 }
            return depth <= 0 && signs.contains(byte)
        }
        guard let start, start > 0 else {
            throw fail("a figure's key, a comparison and a number: latency.p99 > 200ms", at: 0)
        }
        let rest = String(decoding: bytes[start...], as: UTF8.self)
        guard let comparison = Comparison.allCases.first(where: { rest.hasPrefix($0.rawValue) })
        else { throw fail("one of > >= < <= == !=", at: start) }
        let tail = rest.dropFirst(comparison.rawValue.count).drop { $0 == " " }
        let digits = tail.prefix { $0.isNumber || "+-.eE".contains($0) && $0 != "e" }
        guard let number = Double(digits), number.isFinite else {
            throw fail("a number", at: bytes.count - tail.utf8.count)
        }
        self.text = text
        self.comparison = comparison
        self.number = number
        key = Self.trimmed(String(decoding: bytes[..<start], as: UTF8.self))
        unit = Self.trimmed(String(tail.dropFirst(digits.count)))
    }

    private static func trimmed(_ text: String) -> String {
        var text = Substring(text)
        while text.first == " " { text.removeFirst() }
        while text.last == " " { text.removeLast() }
        return String(text)
    }

    /// Why a kind of result has no such threshold, in one sentence; nil when it has. For options,
    /// before anything is measured.
    public func complaint(about kind: ResultKind) -> String? {
        guard let found = unit(in: kind) else {
            let known = kind.figures.map(\.key) + kind.distributions.map { "\($0.key).p99" }
            return "'\(text)': \(kind.name) has no figure '\(key)'; it has "
                + known.joined(separator: ", ")
        }
        guard factor(found) != nil else {
            return "'\(text)': '\(unit)' is no unit of '\(key)': expected "
                + (found == .milliseconds || found == .seconds
                    ? "a length of time such as 200ms"
                    : found == .share ? "a share such as 0.5 or 50%" : "a plain number")
        }
        return nil
    }

    /// What a result says to it.
    public func check(_ result: RunResult) -> Verdict {
        guard let found = unit(in: result.kind), let factor = factor(found),
            let measure = measure(in: result), let value = measure.value?.double
        else { return .unknown }
        let limit = number * factor
        let isSo = comparison.holds(value, limit)
        // Where a bound is not known, the truth may lie anywhere beyond.
        let isBounded = measure.least != nil || measure.most != nil || hasBounds(in: result.kind)
        let least = isBounded ? measure.least?.double ?? -.infinity : value
        let most = isBounded ? measure.most?.double ?? .infinity : value
        let isNear = least <= limit && limit <= most && least < most
        guard comparison.holds(least, limit) == isSo, comparison.holds(most, limit) == isSo,
            !(isNear && comparison.isEquality)
        else { return .undecided }
        return isSo ? .broken : .kept
    }

    /// The line that a person reads: the threshold, what was measured, and the verdict.
    public func line(_ result: RunResult) -> String {
        let value =
            measure(in: result).flatMap { measure in
                unit(in: result.kind).map { ResultText.text(measure.value, $0) }
            } ?? "unknown"
        switch check(result) {
        case .kept: return "kept       \(text) (\(value))"
        case .broken: return "BROKEN     \(text) (\(value))"
        case .undecided: return "undecided  \(text) (\(value), but its bounds lie on both sides)"
        case .unknown: return "unknown    \(text)"
        }
    }

    /// The key's parts: the whole, or a distribution and its statistic.
    private var statistic: (key: String, statistic: Statistic)? {
        guard let dot = key.lastIndex(of: ".") else { return nil }
        let name = String(key[key.index(after: dot)...])
        guard let statistic = Statistic(rawValue: name) ?? Statistic(rawValue: name + "ms") else {
            return nil
        }
        return (String(key[..<dot]), statistic)
    }

    /// `misses[refused].count` in its three parts.
    private var cell: (key: String, row: String, column: String)? {
        guard let open = key.firstIndex(of: "["), let close = key.lastIndex(of: "]"), open < close
        else { return nil }
        let column = key[key.index(after: close)...]
        guard column.first == "." else { return nil }
        return (
            String(key[..<open]), String(key[key.index(after: open)..<close]),
            String(column.dropFirst())
        )
    }

    private func unit(in kind: ResultKind) -> Figure.Unit? {
        if let figure = kind.figure(key) { return figure.unit }
        if let statistic, kind.distribution(statistic.key) != nil {
            return statistic.statistic.unit
        }
        if let cell {
            return kind.breakdown(cell.key)?.columns.first { $0.key == cell.column }?.unit
        }
        return nil
    }

    private func hasBounds(in kind: ResultKind) -> Bool { kind.figure(key)?.hasBounds ?? false }

    private func measure(in result: RunResult) -> Measure? {
        if let figure = result.kind.figure(key) { return result[figure] }
        if let statistic, let distribution = result.kind.distribution(statistic.key) {
            return statistic.statistic.measure(of: result[distribution])
        }
        if let cell, let breakdown = result.kind.breakdown(cell.key),
            let column = breakdown.columns.first(where: { $0.key == cell.column })
        {
            // A row that is not there may be one that was never counted, or a mistyped name.
            return result[breakdown, cell.row, column]
        }
        return nil
    }

    /// By what the number is multiplied to be in the figure's unit; nil where it has no such one.
    private func factor(_ figure: Figure.Unit) -> Double? {
        let times = ["ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1, "s": 1e3, "m": 6e4, "h": 3.6e6]
        switch figure {
        // A bare number would be taken for seconds by one reader and for milliseconds by another.
        case .milliseconds: return number == 0 ? 1 : times[unit]
        case .seconds: return number == 0 ? 1 : times[unit].map { $0 / 1000 }
        case .share: return ["": 1, "%": 0.01][unit]
        case .bytes:
            return ["": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1024, "MiB": 1_048_576][
                unit]
        case .perSecond: return ["": 1, "/s": 1][unit]
        case .count: return unit.isEmpty ? 1 : nil
        case .moment, .text, .flag: return nil
        }
    }
}
