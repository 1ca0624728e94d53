import Telemetry

/// How many of all values lie below each length of time; a curve for each kind of value.
///
/// Both axes serve the tail: time is logarithmic, and each step up (90, 99, 99.9 percent) is ten
/// times rarer than the one before, so that one slow answer in ten thousand is still seen.
public struct DistributionChart: Sendable {
    /// One kind of value.
    public struct Curve: Sendable {
        /// Name and colour.
        public var category: Category
        /// How many values there are.
        public let count: Int
        /// Up to 250 places of the curve, the largest value last: the share of values that are not
        /// above a length of time.
        let places: [(share: Double, value: Duration)]
        let percentiles: [Duration?]

        /// All values exactly.
        public init(_ category: Category, _ samples: Samples) {
            self.init(category, count: samples.count) { samples.percentile($0) }
        }

        /// Values within half a percent.
        public init(_ category: Category, _ histogram: LatencyHistogram) {
            self.init(category, count: Int(clamping: histogram.count)) { histogram.percentile($0) }
        }

        private init(_ category: Category, count: Int, percentile: (Double) -> Duration?) {
            self.category = category
            self.count = count
            percentiles = DistributionChart.percents.map(percentile)
            var shares: [Double] = []
            if count <= 250 {
                shares = (1...max(1, count)).map { Double($0) / Double(count + 1) }
            } else {
                // Evenly within each tenth of what remains.
                var tail = 1.0
                while tail * Double(count) > 1, shares.count < 240 {
                    shares += (0..<40).map { 1 - tail * (1 - 0.9 * Double($0) / 40) }
                    tail /= 10
                }
                shares.removeAll { $0 > 1 - 1 / Double(count) }
                shares.append(1 - 1 / Double(count + 1))
            }
            places = shares.compactMap { share in
                percentile(share * 100).map { (share, $0) }
            }
        }
    }

    static let percents = [50.0, 90, 99, 99.9, 100]

    /// The heading.
    public var title: String
    /// How to read it, in a sentence; may be empty.
    public var caption = ""
    /// What the values are: "latency".
    public var quantity: String
    /// What the shares are of: "requests".
    public var population: String
    /// Drawn in this order.
    public var curves: [Curve]

    /// A chart of several kinds of value.
    public init(title: String, quantity: String, population: String, curves: [Curve]) {
        self.title = title
        self.quantity = quantity
        self.population = population
        self.curves = curves
    }

    // MARK: - Drawing

    private static let height = 260.0

    func write(into markup: inout Markup) {
        let drawn = curves.filter { !$0.places.isEmpty }
        let axis = valueAxis(drawn)
        let tail = TailAxis(count: drawn.map(\.count).max() ?? 0)
        var frame = ChartFrame(
            title: title, caption: caption, summary: summary, height: Self.height,
            xTitle: "\(quantity), logarithmic", yTitle: "percent of \(population) within")
        frame.xTicks = axis.ticks
        frame.yTicks = tail.ticks
        frame.legend = curves.map {
            .init(name: $0.category.name, tint: $0.category.tint, symbol: .line)
        }
        if drawn.isEmpty { frame.emptyText = "Nothing was measured." }
        frame.table = table
        frame.write(into: &markup) { markup in
            markup.stretched(height: Self.height) { markup in
                for curve in drawn {
                    markup.element(
                        "path",
                        [
                            "class": "stroke \(curve.category.tint.name)",
                            "d": path(of: curve, axis, tail),
                        ]
                    ) { $0.element("title", text: curve.category.name) }
                    // The largest value, so that the end of the curve is seen to be one.
                    guard let last = curve.places.last else { continue }
                    markup.element(
                        "path",
                        [
                            "class": "dots \(curve.category.tint.name)",
                            "d": "M\(point(last, axis, tail))h0",
                        ])
                }
            }
        }
    }

    private func path(of curve: Curve, _ axis: ValueAxis, _ tail: TailAxis) -> String {
        var path = ""
        for place in curve.places {
            path += "\(path.isEmpty ? "M" : "L")\(point(place, axis, tail))"
        }
        return path
    }

    private func point(
        _ place: (share: Double, value: Duration), _ axis: ValueAxis, _ tail: TailAxis
    ) -> String {
        let x = axis.fraction(place.value.inSeconds) * ChartFrame.stretchedWidth
        return "\(svg(x)) \(svg((1 - tail.fraction(place.share)) * Self.height))"
    }

    /// From the smallest value to the largest; a few far below the rest do not stretch it.
    private func valueAxis(_ drawn: [Curve]) -> ValueAxis {
        let highest = drawn.compactMap { $0.percentiles.last??.inSeconds }.max() ?? 1
        let lowest = drawn.compactMap { curve -> Double? in
            guard let first = curve.places.first, let median = curve.percentiles[0] else {
                return nil
            }
            return max(first.value.inSeconds, median.inSeconds / 30)
        }.min()
        let lower = max(lowest ?? 1e-3, 1e-9)
        return ValueAxis(logarithmic: lower...max(lower, highest)) {
            FigureText.duration(seconds: $0, digits: 1)
        }
    }

    private var summary: String {
        let figures = curves.map { curve in
            let median = FigureText.duration(curve.percentiles[0])
            let p99 = FigureText.duration(curve.percentiles[2])
            return "\(curve.category.name): median \(median), 99th percentile \(p99), maximum "
                + FigureText.duration(curve.percentiles[4])
        }
        return figures.isEmpty ? "Nothing was measured." : figures.joined(separator: "; ")
    }

    private var table: Table {
        Table(
            caption: title,
            columns: [.text(quantity), .number(population)]
                + ["p50", "p90", "p99", "p99.9", "max"].map { .number($0) },
            rows: curves.map { curve in
                [.init(curve.category.name), .count(curve.count)]
                    + curve.percentiles.map { .duration($0) }
            })
    }
}

/// Shares of a population, each tick ten times rarer than the one before.
struct TailAxis: Equatable {
    let ticks: [Tick]
    private let decades: Double

    /// - Parameter count: of the largest population; the rarest thing is one in so many.
    init(count: Int) {
        var decades = 2
        var reach = 100
        while reach < count, decades < 6 {
            reach *= 10
            decades += 1
        }
        self.decades = Double(decades)
        let shares = [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99")]
        var ticks = shares.map { Tick(fraction: Self.tens($0.0) / Double(decades), label: $0.1) }
        for decade in 3..<max(3, decades + 1) {
            let nines = String(repeating: "9", count: decade - 2)
            ticks.append(Tick(fraction: Double(decade) / Double(decades), label: "99.\(nines)"))
        }
        self.ticks = ticks
    }

    /// Where a share of the population stands; past the last tick it counts as that.
    func fraction(_ share: Double) -> Double {
        guard share < 1 else { return 1 }
        return min(max(Self.tens(share) / decades, 0), 1)
    }

    /// How many times ten times rarer than everything.
    private static func tens(_ share: Double) -> Double {
        -ValueAxis.logarithm(1 - share) / 3.321_928_094_887_362
    }
}
