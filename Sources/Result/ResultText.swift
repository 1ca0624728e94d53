import Telemetry

/// The table of a result, or of several side by side, for a terminal.
///
///     egw-client: when traffic was masqueraded through the egress gateway
///     pod-0, 2026-11-24T09:00:00Z, 7.25 s, sonde 1.2.0
///
///     delay            7,113.2 ms   7,062.9 … 7,113.2 ms
///     probes               144
public struct ResultText {
    private let results: [(name: String, result: RunResult)]

    /// - Parameter results: of one kind, with the names that they go by; the first is what the
    ///   others are compared with.
    public init(_ results: [(name: String, result: RunResult)]) { self.results = results }

    /// The whole table, with a line feed at its end.
    public var text: String {
        guard let kind = results.first?.result.kind else { return "" }
        var text = "\(kind.name): \(kind.title)\n" + runs + "\n"
        text += Self.aligned(figures(kind))
        if !unknown.isEmpty { text += "not known: \(unknown.joined(separator: ", "))\n" }
        for breakdown in kind.breakdowns { text += self.breakdown(breakdown) }
        for distribution in kind.distributions { text += self.distribution(distribution) }
        for (name, result) in results {
            let prefix = results.count > 1 ? "\(name): " : ""
            for note in result.notes { text += "\n\(prefix)note: \(note)" }
            if !result.leftOut.isEmpty {
                text += "\n\(prefix)not merged: \(result.leftOut.joined(separator: ", "))"
            }
        }
        return text.hasSuffix("\n") ? text : text + "\n"
    }

    private var runs: String {
        var text = ""
        for (name, result) in results {
            if results.count > 1 { text += "\(name): " }
            if let run = result.runs.first, result.runs.count == 1 {
                text += "\(run.host), \(run.began), \(GoDuration(run.ended - run.began)), "
                text += "\(run.tool)\n"
            } else {
                let hosts = Set(result.runs.map(\.host)).count
                text += "\(result.runs.count) runs on \(hosts) host\(hosts == 1 ? "" : "s"), "
                text += "\(GoDuration(result.elapsed)) in all\n"
            }
        }
        return text
    }

    /// The heads of the columns: what they are called and, where there are several, the ratio.
    private func head(_ title: String) -> [String] {
        results.count == 1
            ? [title, ""] : [title] + results.map(\.name) + results.dropFirst().map { _ in "ratio" }
    }

    private func figures(_ kind: ResultKind) -> [[String]] {
        var cells = results.count == 1 ? [] : [head("")]
        for figure in kind.figures where isKnown(figure) {
            cells.append([figure.title] + row(figure, results.map { $0.result[figure] }))
        }
        return cells
    }

    private func isKnown(_ figure: Figure) -> Bool {
        results.contains { $0.result[figure].value != nil }
    }

    /// Figures that none of the results knows; a line for each would bury the others.
    private var unknown: [String] {
        (results.first?.result.kind.figures ?? []).filter { !isKnown($0) }.map(\.title)
    }

    /// One result: its value and its bounds; several: their values and the ratios to the first.
    private func row(_ figure: Figure, _ measures: [Measure]) -> [String] {
        let values = measures.map { Self.text($0.value, figure.unit) }
        guard results.count > 1 else {
            return values + [measures.first.map { Self.bounds($0, figure) } ?? ""]
        }
        return values + Self.ratios(measures.map { $0.value?.double }, figure.unit)
    }

    private static func ratios(_ values: [Double?], _ unit: Figure.Unit) -> [String] {
        values.dropFirst().map { value in
            guard let value, let first = values.first, let first, first != 0,
                unit != .moment, unit != .share
            else { return "–" }
            return "× " + DecimalText.fixed(value / first, places: 2)
        }
    }

    private static func bounds(_ measure: Measure, _ figure: Figure) -> String {
        guard figure.hasBounds, measure.value != nil else { return "" }
        let least = measure.least.map { text($0, figure.unit) } ?? "unknown"
        let most = measure.most.map { text($0, figure.unit) } ?? "unknown"
        return "\(least) … \(most)"
    }

    private func breakdown(_ breakdown: ResultKind.Breakdown) -> String {
        let labels = Set(results.flatMap { $0.result.rows(breakdown) }).sorted()
            .filter { label in results.contains { !$0.result.isNothing(breakdown, label) } }
        if labels.isEmpty { return "" }
        var text = "\n\(breakdown.title)\n"
        if results.count == 1, let result = results.first?.result {
            var cells = [["\(breakdown.label)"] + breakdown.columns.map(\.title)]
            for label in labels {
                cells.append(
                    [label]
                        + breakdown.columns.map {
                            Self.text(result[breakdown, label, $0].value, $0.unit)
                        })
            }
            return text + Self.aligned(cells)
        }
        // Side by side, what most people compare: the first column.
        guard let column = breakdown.columns.first else { return "" }
        var cells = [head("\(breakdown.label)")]
        for label in labels {
            cells.append(
                [label] + row(column, results.map { $0.result[breakdown, label, column] }))
        }
        text += Self.aligned(cells)
        return text
    }

    private func distribution(_ distribution: ResultKind.Distribution) -> String {
        let histograms = results.map { $0.result[distribution] }
        if histograms.allSatisfy({ $0.count == 0 }) { return "" }
        var cells = [head(distribution.title)]
        for statistic in Statistic.allCases {
            let values = histograms.map { statistic.measure(of: $0).value }
            var row = [statistic.title] + values.map { Self.text($0, statistic.unit) }
            row +=
                results.count == 1
                ? [""] : Self.ratios(values.map { $0?.double }, statistic.unit)
            cells.append(row)
        }
        return "\n" + Self.aligned(cells)
    }

    /// A value with its unit, as people write it.
    static func text(_ value: Measure.Value?, _ unit: Figure.Unit) -> String {
        guard let value else { return "unknown" }
        switch value {
        case .text(let text): return text
        case .flag(let flag): return flag ? "yes" : "no"
        case .moment(let moment): return moment.description
        case .integer(let number):
            let suffix = unit == .count ? "" : " \(unit.rawValue)"
            return DecimalText.grouped(number) + suffix
        case .number(let number):
            switch unit {
            case .share: return DecimalText.fixed(number * 100, places: 1) + " %"
            case .count: return DecimalText.fixed(number, places: 0)
            default: return DecimalText.fixed(number, places: 3) + " \(unit.rawValue)"
            }
        }
    }

    /// The first column to the left, all others to the right; no space at the ends of lines.
    static func aligned(_ cells: [[String]]) -> String {
        let columns = cells.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in
            cells.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0
        }
        var text = ""
        for row in cells {
            var line = ""
            for (column, cell) in row.enumerated() where widths[column] > 0 {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                line += column == 0 ? cell + space : "  " + space + cell
            }
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        return text
    }
}

extension RunResult {
    /// Whether all of a row is zero, so that a line for it would say nothing.
    fileprivate func isNothing(_ breakdown: ResultKind.Breakdown, _ row: String) -> Bool {
        breakdown.columns.allSatisfy { self[breakdown, row, $0].value == .integer(0) }
    }
}

/// Decimal numbers for people; pure rooms have no formatter of the system's.
enum DecimalText {
    /// `1,234,567`.
    static func grouped(_ number: Int64) -> String {
        let digits = String(number.magnitude)
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return number < 0 ? "-" + text : text
    }

    /// `1,234.50`, half away from zero; up to 12 places, which only small numbers have.
    static func fixed(_ value: Double, places: Int, grouped isGrouped: Bool = true) -> String {
        var scale: Int64 = 1
        for _ in 0..<places { scale *= 10 }
        guard value.isFinite, value.magnitude * Double(scale) < 9e18 else { return "\(value)" }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        let whole = isGrouped ? grouped(scaled / scale) : "\(scaled / scale)"
        if places == 0 { return sign + whole }
        let digits = String(scaled % scale)
        return sign + whole + "."
            + String(repeating: "0", count: places - digits.count) + digits
    }
}
