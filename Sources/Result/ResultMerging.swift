import Telemetry

/// Several results of one kind become one, in whatever order they come.
extension RunResult {
    /// Adds another result, wholly or not at all.
    ///
    /// - Parameter name: of the other's document, for messages.
    /// - Throws: where it is of another kind, about another thing, or has a run that is in this one
    ///   already: adding that again would double what it found.
    public mutating func merge(_ other: RunResult, name: String) throws(ResultRefusal) {
        guard other.kind == kind else {
            throw ResultRefusal(
                name, "is of the kind '\(other.kind.name)', the others of '\(kind.name)'",
                isMismatch: true)
        }
        let known = Set(runs.map(\.id))
        if let twice = other.runs.first(where: { known.contains($0.id) }) {
            throw ResultRefusal(
                name, "holds the run \(twice.id) of \(twice.host), which is in it already",
                isMismatch: true)
        }
        var merged = self
        for figure in kind.figures where figure.merging == .same {
            let (ours, theirs) = (self[figure], other[figure])
            guard ours == theirs else {
                throw ResultRefusal(
                    name, "'\(figure.key)' differs from the others'", isMismatch: true)
            }
        }
        merged.runs = (runs + other.runs).sorted { ($0.began, $0.id) < ($1.began, $1.id) }
        merged.configuration = configuration.filter { other.configuration[$0.key] == $0.value }
        let dropped = Set(configuration.keys).union(other.configuration.keys)
            .subtracting(merged.configuration.keys).map { "configuration.\($0)" }
        let single = kind.figures.filter { $0.merging == .single }.map(\.key)
        merged.leftOut = Set(leftOut).union(other.leftOut).union(single).union(dropped).sorted()
        merged.notes = Set(notes).union(other.notes).sorted()
        for figure in kind.figures {
            merged.figures[figure.key] = figure.merging.merged(self[figure], other[figure])
        }
        for breakdown in kind.breakdowns {
            merged.breakdowns[breakdown.key] = breakdown.merged(
                breakdowns[breakdown.key] ?? [:], other.breakdowns[breakdown.key] ?? [:])
        }
        for distribution in kind.distributions {
            merged.histograms[distribution.key] = self[distribution]
            merged.histograms[distribution.key]?.merge(other[distribution])
        }
        merged.computeAnew()
        self = merged
    }

    /// What follows from other figures, once they are those of all runs.
    private mutating func computeAnew() {
        for figure in kind.figures {
            switch figure.merging {
            case .rate(let count):
                let seconds = elapsed.inMilliseconds / 1000
                figures[figure.key] = .quotient(figures[count]?.value?.double, seconds)
            case .ratio(let part, let whole):
                figures[figure.key] = .quotient(
                    figures[part]?.value?.double, figures[whole]?.value?.double)
            default: break
            }
        }
        for breakdown in kind.breakdowns {
            breakdowns[breakdown.key] = breakdown.computedAnew(breakdowns[breakdown.key] ?? [:])
        }
    }
}

extension ResultKind.Breakdown {
    fileprivate typealias Rows = [String: [String: Measure]]

    /// A row that only one of them has is as it was: there the other found nothing.
    fileprivate func merged(_ ours: Rows, _ theirs: Rows) -> Rows {
        ours.merging(theirs) { our, their in
            var row: [String: Measure] = [:]
            for column in columns {
                row[column.key] = column.merging.merged(
                    our[column.key] ?? .unknown, their[column.key] ?? .unknown)
            }
            return row
        }
    }

    /// A ratio whose whole is a column's own is its share of the sum of all rows.
    fileprivate func computedAnew(_ rows: Rows) -> Rows {
        var rows = rows
        for column in columns {
            guard case .ratio(let part, let whole) = column.merging else { continue }
            let sum = rows.values.reduce(0) { $0 + ($1[part]?.value?.double ?? 0) }
            for (label, row) in rows {
                let divisor = part == whole ? sum : row[whole]?.value?.double
                rows[label]?[column.key] = .quotient(row[part]?.value?.double, divisor)
            }
        }
        return rows
    }
}

extension Figure.Merging {
    fileprivate func merged(_ ours: Measure, _ theirs: Measure) -> Measure {
        switch self {
        case .sum: return Measure.combined(ours, theirs) { $0 + $1 }
        case .smallest: return Measure.combined(ours, theirs, min)
        case .largest: return Measure.combined(ours, theirs, max)
        case .same: return ours
        case .agreed: return ours == theirs ? ours : .unknown
        case .rate, .ratio, .single: return .unknown
        }
    }
}

extension Measure {
    /// Each part of its own; what one of them does not know is not known of both.
    fileprivate static func combined(
        _ a: Measure, _ b: Measure, _ combine: (Operand, Operand) -> Operand
    ) -> Measure {
        func part(_ a: Value?, _ b: Value?) -> Value? {
            guard let a, let b, let one = Operand(a), let other = Operand(b) else { return nil }
            return combine(one, other).value
        }
        return Measure(
            part(a.value, b.value), least: part(a.least, b.least), most: part(a.most, b.most))
    }

    fileprivate static func quotient(_ part: Double?, _ whole: Double?) -> Measure {
        guard let part, let whole, whole != 0 else { return .unknown }
        return .number(part / whole)
    }
}

/// A value that has an order and a sum. Whole numbers stay whole, and moments have no sum.
private enum Operand: Comparable {
    case integer(Int64)
    case number(Double)
    case moment(WallClock)

    init?(_ value: Measure.Value) {
        switch value {
        case .integer(let value): self = .integer(value)
        case .number(let value): self = .number(value)
        case .moment(let value): self = .moment(value)
        case .text, .flag: return nil
        }
    }

    var value: Measure.Value {
        switch self {
        case .integer(let value): .integer(value)
        case .number(let value): .number(value)
        case .moment(let value): .moment(value)
        }
    }

    private var double: Double { value.double ?? 0 }

    static func < (a: Operand, b: Operand) -> Bool {
        if case .integer(let a) = a, case .integer(let b) = b { return a < b }
        if case .moment(let a) = a, case .moment(let b) = b { return a < b }
        return a.double < b.double
    }

    static func + (a: Operand, b: Operand) -> Operand {
        guard case .integer(let first) = a, case .integer(let second) = b else {
            return .number(a.double + b.double)
        }
        let (sum, overflow) = first.addingReportingOverflow(second)
        return overflow ? .number(a.double + b.double) : .integer(sum)
    }
}
