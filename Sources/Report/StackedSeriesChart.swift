/// How a sum is made up in the course of a run: requests per second by instance, or shares per pod.
///
/// At most 500 columns are drawn; finer series are averaged over neighbours. Series beyond the
/// number of colours are folded into one, the smallest first.
public struct StackedSeriesChart: Sendable {
    /// One part of the sum.
    public struct Series: Hashable, Sendable {
        /// Name and colour.
        public var category: Category
        /// One value for each column of time, not negative; missing ones at the end count as zero.
        public var values: [Double]
        /// What the table says of the whole run, such as a count; nil for the mean of the values.
        public var total: Int?

        /// A part with its values.
        public init(_ category: Category, values: [Double], total: Int? = nil) {
            self.category = category
            self.values = values
            self.total = total
        }
    }

    /// A level to compare with, such as a fair share.
    public struct Reference: Hashable, Sendable {
        /// As in the legend.
        public var name: String
        /// In the unit of the values.
        public var value: Double

        /// A dashed line at a value.
        public init(_ name: String, value: Double) {
            self.name = name
            self.value = value
        }
    }

    /// The heading.
    public var title: String
    /// How to read it, in a sentence; may be empty.
    public var caption = ""
    /// The time that is shown, since the start of the run; it is divided evenly among the values.
    public var span: ClosedRange<Duration>
    /// What is stacked, with the unit: "requests/s".
    public var unit: String
    /// Draws the share of each part instead of its value.
    public var isShare = false
    /// From bottom to top.
    public var series: [Series]
    /// Dashed lines, in the order of the legend; for shares from 0 to 1.
    public var references: [Reference] = []
    /// Vertical marks.
    public var events: [EventMark] = []

    /// A chart; shares, references and events are set afterwards.
    public init(title: String, span: ClosedRange<Duration>, unit: String, series: [Series]) {
        self.title = title
        self.span = span
        self.unit = unit
        self.series = series
    }

    // MARK: - Drawing

    private static let height = 200.0
    private static let maximumColumns = 500

    func write(into markup: inout Markup) {
        let axis = TimeAxis(span)
        let stack = Stack(folded, maximumColumns: Self.maximumColumns, isShare: isShare)
        let highest = max(stack.highest, references.map(\.value).filter(\.isFinite).max() ?? 0)
        let scale = ValueAxis(linear: 0...(isShare ? 1 : highest)) { value, step, _ in
            isShare
                ? FigureText.tick(value * 100, step: step * 100)
                : FigureText.tick(value, step: step)
        }
        var frame = ChartFrame(
            title: title, caption: caption, summary: summary, height: Self.height,
            xTitle: axis.title, yTitle: isShare ? "percent of \(unit)" : unit)
        frame.xTicks = axis.ticks
        frame.yTicks = scale.ticks
        frame.events = EventLayout(events, on: axis)
        frame.legend =
            folded.map { .init(name: $0.category.name, tint: $0.category.tint, symbol: .area) }
            + referenceNames.map { .init(name: $0, tint: .neutral, symbol: .dashes) }
        frame.table = table
        if stack.highest <= 0 { frame.emptyText = "Nothing was measured." }
        frame.write(into: &markup) { markup in
            markup.stretched(height: Self.height) { markup in
                for (index, part) in folded.enumerated() {
                    markup.element(
                        "path",
                        [
                            "class": "fill \(part.category.tint.name)",
                            "d": stack.path(of: index, scale: scale, height: Self.height),
                        ]
                    ) { $0.element("title", text: part.category.name) }
                }
            }
            for reference in references {
                let y = svg((1 - scale.fraction(reference.value)) * Self.height)
                markup.element(
                    "line", ["class": "reference", "x1": "0", "x2": "100%", "y1": y, "y2": y]
                ) { $0.element("title", text: reference.name) }
            }
        }
    }

    /// Lines of one name are one entry of the legend.
    private var referenceNames: [String] {
        var names: [String] = []
        for reference in references where !names.contains(reference.name) {
            names.append(reference.name)
        }
        return names
    }

    /// The largest keep their colours, the rest becomes one neutral part on top.
    private var folded: [Series] {
        guard series.count > Tint.seriesCount else { return series }
        let sums = series.map { $0.values.reduce(0, +) }
        let order = series.indices.sorted { sums[$0] > sums[$1] }
        let kept = Set(order.prefix(Tint.seriesCount - 1))
        var parts: [Series] = []
        var rest = Series(
            Category("\(series.count - kept.count) others", .neutral), values: [], total: 0)
        for (index, part) in series.enumerated() {
            if kept.contains(index) {
                let category = Category(part.category.name, .series(parts.count))
                parts.append(Series(category, values: part.values, total: part.total))
                continue
            }
            let missing = max(0, part.values.count - rest.values.count)
            rest.values += Array(repeating: 0, count: missing)
            for (column, value) in part.values.enumerated() { rest.values[column] += value }
        }
        return parts + [rest]
    }

    private var summary: String {
        let names = series.map { "\($0.category.name): \(figure(of: $0))" }
        return "\(unit) over time, stacked. \(names.joined(separator: ", "))"
    }

    private func figure(of part: Series) -> String {
        part.total.map { FigureText.count($0) } ?? FigureText.number(mean(of: part))
    }

    private func mean(of part: Series) -> Double {
        part.values.isEmpty ? 0 : part.values.reduce(0, +) / Double(part.values.count)
    }

    private var table: Table {
        let hasTotals = series.contains { $0.total != nil }
        return Table(
            caption: title,
            columns: [.text("series"), .number("mean", unit: unit), .number("highest", unit: unit)]
                + (hasTotals ? [.number("in all")] : []),
            rows: series.map { part in
                let cells: [Table.Cell] = [
                    .init(part.category.name), .init(FigureText.number(mean(of: part))),
                    .init(FigureText.number(part.values.max() ?? 0)),
                ]
                return cells + (hasTotals ? [part.total.map { .count($0) } ?? "–"] : [])
            })
    }
}

/// Values laid on top of each other, column by column.
private struct Stack {
    /// For each part the upper edge in each column; the lower one is that of the part before.
    private var edges: [[Double]] = []
    private let columns: Int

    var highest: Double { edges.last?.max() ?? 0 }

    init(_ series: [StackedSeriesChart.Series], maximumColumns: Int, isShare: Bool) {
        let count = series.map(\.values.count).max() ?? 0
        let merged = max(1, (count + maximumColumns - 1) / maximumColumns)
        columns = (count + merged - 1) / merged
        var upper = Array(repeating: 0.0, count: columns)
        for part in series {
            for column in upper.indices {
                let last = min(count, (column + 1) * merged)
                let values = part.values.dropFirst(column * merged).prefix(last - column * merged)
                let sum = values.reduce(0) { $0 + ($1.isFinite ? max(0, $1) : 0) }
                upper[column] += sum / Double(last - column * merged)
            }
            edges.append(upper)
        }
        guard isShare, let whole = edges.last else { return }
        for part in edges.indices {
            for column in whole.indices where whole[column] > 0 {
                edges[part][column] /= whole[column]
            }
        }
    }

    /// Up and down in steps: a value holds for the whole of its column.
    func path(of part: Int, scale: ValueAxis, height: Double) -> String {
        guard columns > 0 else { return "" }
        let width = ChartFrame.stretchedWidth / Double(columns)
        func y(_ value: Double) -> String { svg((1 - scale.fraction(value)) * height) }
        let upper = edges[part]
        let lower = part == 0 ? Array(repeating: 0, count: columns) : edges[part - 1]
        var path = "M0 \(y(upper[0]))"
        for column in 1..<max(1, columns) where upper[column] != upper[column - 1] {
            path += "H\(svg(Double(column) * width))V\(y(upper[column]))"
        }
        path += "H\(svg(ChartFrame.stretchedWidth))V\(y(lower[columns - 1]))"
        for column in (0..<(columns - 1)).reversed() where lower[column] != lower[column + 1] {
            path += "H\(svg(Double(column + 1) * width))V\(y(lower[column]))"
        }
        return path + "H0Z"
    }
}
