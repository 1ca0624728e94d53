/// The table that people see of a merge.
enum ResultMergeText {
    static func text(
        _ table: ResultTable, rows: [(name: String, document: ResultValue)], omitted: [String]
    ) -> String {
        var cells = [[""] + table.columns.map(\.title)]
        for row in rows {
            cells.append([row.name] + table.columns.map { figure(row.document, $0.path) })
        }
        var text = ResultText.aligned(cells)
        if let shares = table.shares, let all = rows.last?.document {
            text += "\n" + self.shares(all, shares) + evenness(all, table)
        }
        if !omitted.isEmpty {
            text += "\nnot merged: \(omitted.joined(separator: ", "))\n"
        }
        return text
    }

    private static func figure(_ document: ResultValue, _ path: [String]) -> String {
        var value: ResultValue? = document
        for key in path { value = value?[key] }
        switch value {
        case .integer(let value): return "\(value)"
        case .number(let value): return decimal(value)
        default: return "–"
        }
    }

    private static func shares(_ document: ResultValue, _ shares: ResultTable.Shares) -> String {
        guard case .array(let elements)? = document[shares.array] else { return "" }
        let counts = elements.map { element -> (name: String, count: Double) in
            guard case .string(let name)? = element[shares.key] else { return ("", 0) }
            return (name, element[shares.count]?.double ?? 0)
        }
        let total = counts.reduce(0) { $0 + $1.count }
        var cells = [["", shares.count, "share"]]
        for (name, count) in counts.sorted(by: { ($1.count, $0.name) < ($0.count, $1.name) }) {
            let share =
                total > 0
                ? DecimalText.fixed(100 * count / total, places: 1, grouped: false) + " %" : "–"
            cells.append([name, "\(Int64(exactly: count) ?? 0)", share])
        }
        return ResultText.aligned(cells)
    }

    private static func evenness(_ document: ResultValue, _ table: ResultTable) -> String {
        let parts = table.members.compactMap { member -> String? in
            guard let value = document[member.name]?.double else { return nil }
            switch member.rule {
            case .imbalance: return "largest over mean \(decimal(value))"
            case .jainIndex: return "Jain's index \(decimal(value))"
            default: return nil
            }
        }
        return parts.isEmpty ? "" : parts.joined(separator: ", ") + "\n"
    }

    /// Three decimals are more than a person compares.
    private static func decimal(_ value: Double) -> String {
        DecimalText.fixed(value, places: 3, grouped: false)
    }
}
