/// The table that people see of a merge.
enum ResultMergeText {
    static func text(
        _ table: ResultTable, rows: [(name: String, document: ResultValue)], omitted: [String]
    ) -> String {
        var cells = [[""] + table.columns.map(\.title)]
        for row in rows {
            cells.append([row.name] + table.columns.map { figure(row.document, $0.path) })
        }
        var text = aligned(cells)
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
            let share = total > 0 ? fixed(100 * count / total, scale: 10, places: 1) + " %" : "–"
            cells.append([name, "\(Int64(exactly: count) ?? 0)", share])
        }
        return aligned(cells)
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

    /// The first column to the left, figures to the right.
    private static func aligned(_ cells: [[String]]) -> String {
        let columns = cells.first?.count ?? 0
        let widths = (0..<columns).map { column in cells.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in cells {
            for (column, cell) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - cell.count)
                text += column == 0 ? cell + space : "  " + space + cell
            }
            text += "\n"
        }
        return text
    }

    /// Three decimals are more than a person compares.
    private static func decimal(_ value: Double) -> String {
        fixed(value, scale: 1000, places: 3)
    }

    private static func fixed(_ value: Double, scale: UInt64, places: Int) -> String {
        guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
        let scaled = UInt64((value.magnitude * Double(scale)).rounded())
        let fraction = String(scaled % scale)
        let zeros = String(repeating: "0", count: places - fraction.count)
        return "\(value < 0 && scaled > 0 ? "-" : "")\(scaled / scale).\(zeros)\(fraction)"
    }
}
