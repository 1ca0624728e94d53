import Telemetry

/// Latency in the course of a run: median, 99th percentile and maximum, column by column.
///
/// The scale is logarithmic where the values differ by more than a factor of twenty. Columns in
/// which nothing was measured are left empty and marked as such.
public struct LatencyChart: Sendable {
    /// What was measured in one column of time.
    public struct Point: Hashable, Sendable {
        /// Half of the values are not above it.
        public var median: Duration
        /// 99 of 100 values are not above it.
        public var p99: Duration
        /// No value is above it.
        public var maximum: Duration

        /// The three figures of a column.
        public init(median: Duration, p99: Duration, maximum: Duration) {
            self.median = median
            self.p99 = p99
            self.maximum = maximum
        }

        /// Those of a histogram; nil when it is empty.
        public init?(_ histogram: LatencyHistogram) {
            guard let median = histogram.percentile(50), let p99 = histogram.percentile(99),
                let maximum = histogram.maximum
            else { return nil }
            self.init(median: median, p99: p99, maximum: maximum)
        }
    }

    /// The heading.
    public var title: String
    /// How to read it, in a sentence; may be empty.
    public var caption = ""
    /// What the values are: "latency".
    public var quantity = "latency"
    /// The time that is shown, since the start of the run; it is divided evenly among the points.
    public var span: ClosedRange<Duration>
    /// One for each column; nil where nothing was measured. At most 1000 are sensible.
    public var points: [Point?]
    /// Vertical marks.
    public var events: [EventMark] = []

    /// A chart; events are set afterwards.
    public init(title: String, span: ClosedRange<Duration>, points: [Point?]) {
        self.title = title
        self.span = span
        self.points = points
    }

    // MARK: - Drawing

    private static let height = 220.0

    func write(into markup: inout Markup) {
        let axis = TimeAxis(span)
        let known = points.compactMap { $0 }
        let highest = known.map { $0.maximum.inSeconds }.max() ?? 0
        let lowest = max(known.map { $0.median.inSeconds }.min() ?? 0, 1e-9)
        let scale =
            highest > 20 * lowest
            ? ValueAxis(logarithmic: lowest...highest) {
                FigureText.duration(seconds: $0, digits: 1)
            }
            : ValueAxis(
                linear: 0...highest, label: FigureText.duration(seconds:step:largest:))
        var frame = ChartFrame(
            title: title, caption: caption, summary: summary, height: Self.height,
            xTitle: axis.title,
            yTitle: scale.isLogarithmic ? "\(quantity), logarithmic" : quantity)
        frame.xTicks = axis.ticks
        frame.yTicks = scale.ticks
        frame.events = EventLayout(events, on: axis)
        frame.legend = [
            .init(name: "p50", tint: .ink, symbol: .line),
            .init(name: "p99", tint: .soft, symbol: .thinLine),
            .init(name: "p50 to p99", tint: .soft, symbol: .band),
            .init(name: "max", tint: .soft, symbol: .dot),
        ]
        if known.isEmpty { frame.emptyText = "Nothing was measured." }
        let hasGaps = known.count < points.count && !known.isEmpty
        if hasGaps {
            frame.legend.append(.init(name: "nothing measured", tint: .neutral, symbol: .gap))
        }
        frame.table = table
        frame.write(into: &markup) { markup in
            markup.stretched(height: Self.height) { writeLines(on: scale, into: &$0) }
        }
    }

    private func writeLines(on scale: ValueAxis, into markup: inout Markup) {
        let width = ChartFrame.stretchedWidth / Double(max(1, points.count))
        func y(_ value: Duration) -> Double { (1 - scale.fraction(value.inSeconds)) * Self.height }
        var band = ""
        var median = ""
        var p99 = ""
        var maximum = ""
        for run in runs {
            let x = svg(Double(run.first) * width)
            if run.values.isEmpty {
                markup.element(
                    "rect",
                    [
                        "class": "gap", "x": x, "height": svg(Self.height),
                        "width": svg(Double(run.end - run.first) * width),
                    ])
                continue
            }
            let medians = run.values.map { y($0.median) }
            let highs = run.values.map { y($0.p99) }
            let upper = steps(highs, from: run.first, width: width)
            p99 += upper
            median += steps(medians, from: run.first, width: width)
            band += upper + "V\(svg(medians[medians.count - 1]))"
            for index in (0..<(medians.count - 1)).reversed() {
                band += "H\(svg(Double(run.first + index + 1) * width))V\(svg(medians[index]))"
            }
            band += "H\(x)Z"
            for (index, point) in run.values.enumerated() {
                let middle = (Double(run.first + index) + 0.5) * width
                maximum += "M\(svg(middle)) \(svg(y(point.maximum)))h0"
            }
        }
        markup.element("path", ["class": "band soft", "d": band])
        markup.element("path", ["class": "dots soft", "d": maximum])
        markup.element("path", ["class": "stroke thin soft", "d": p99])
        markup.element("path", ["class": "stroke ink", "d": median])
    }

    private func steps(_ values: [Double], from first: Int, width: Double) -> String {
        var path = "M\(svg(Double(first) * width)) \(svg(values.first ?? 0))"
        for (index, value) in values.enumerated() {
            path += "V\(svg(value))H\(svg(Double(first + index + 1) * width))"
        }
        return path
    }

    /// Neighbours that are all measured, or all not (without values then).
    private var runs: [(first: Int, end: Int, values: [Point])] {
        var runs: [(first: Int, end: Int, values: [Point])] = []
        for (index, point) in points.enumerated() {
            if let last = runs.last, last.values.isEmpty == (point == nil) {
                runs[runs.count - 1].end = index + 1
            } else {
                runs.append((index, index + 1, []))
            }
            if let point { runs[runs.count - 1].values.append(point) }
        }
        return runs
    }

    private var summary: String {
        let known = points.compactMap { $0 }
        guard let highest = known.map(\.maximum).max() else { return "Nothing was measured." }
        return "\(quantity) over time: median, 99th percentile and maximum; highest value "
            + FigureText.duration(highest)
    }

    /// At most 40 rows: for more, the columns with the highest maxima.
    private var table: Table {
        let width = (span.upperBound - span.lowerBound) / max(1, points.count)
        var shown = points.indices.filter { points[$0] != nil }
        let isCut = shown.count > 40
        if isCut {
            let order = shown.sorted {
                (points[$0]?.maximum ?? .zero) > (points[$1]?.maximum ?? .zero)
            }
            shown = order.prefix(40).sorted()
        }
        return Table(
            caption: isCut ? "\(title): the 40 stretches with the highest maxima" : title,
            columns: [.number("from"), .number("p50"), .number("p99"), .number("max")],
            rows: shown.map { index in
                [
                    .duration(span.lowerBound + width * index), .duration(points[index]?.median),
                    .duration(points[index]?.p99), .duration(points[index]?.maximum),
                ]
            })
    }
}
