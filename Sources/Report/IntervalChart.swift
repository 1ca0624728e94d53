/// Results with the bounds between which the truth lies: a stroke from bound to bound for each, in
/// the course of a run.
///
/// At most 500 are drawn: of more, every so-manieth, which the chart then says.
public struct IntervalChart: Sendable {
    /// One result.
    public struct Interval: Hashable, Sendable {
        /// Where it stands on the horizontal axis, since the start of the run.
        public var moment: Duration
        /// Nil where the lower bound is not known.
        public var lower: Duration?
        /// What was measured; nothing lies above it.
        public var upper: Duration

        /// A result and its lower bound.
        public init(moment: Duration, lower: Duration?, upper: Duration) {
            self.moment = moment
            self.lower = lower
            self.upper = upper
        }
    }

    /// The heading.
    public var title: String
    /// How to read it, in a sentence; may be empty.
    public var caption = ""
    /// What the values are, against what.
    public var quantity: String
    /// What the upper end is called: "first answer".
    public var upperName: String
    /// What the stroke is called.
    public var intervalName: String
    /// What the line at zero is called; nil for none.
    public var zeroName: String?
    /// The time that is shown, since the start of the run.
    public var span: ClosedRange<Duration>
    /// In any order.
    public var intervals: [Interval]

    /// A chart of results against zero.
    public init(
        title: String, quantity: String, upperName: String, intervalName: String,
        zeroName: String? = nil, span: ClosedRange<Duration>, intervals: [Interval]
    ) {
        self.title = title
        self.quantity = quantity
        self.upperName = upperName
        self.intervalName = intervalName
        self.zeroName = zeroName
        self.span = span
        self.intervals = intervals
    }

    // MARK: - Drawing

    private static let height = 240.0
    private static let maximum = 500

    func write(into markup: inout Markup) {
        let axis = TimeAxis(span)
        let values = intervals.flatMap { [$0.lower, $0.upper] }.compactMap { $0?.inSeconds }
        let range = min(0, values.min() ?? 0)...max(0, values.max() ?? 1)
        let scale = ValueAxis(linear: range, label: FigureText.duration(seconds:step:largest:))
        var frame = ChartFrame(
            title: title, caption: caption, summary: summary, height: Self.height,
            xTitle: axis.title, yTitle: quantity)
        let each = (intervals.count + Self.maximum - 1) / Self.maximum
        if each > 1 {
            let note = "1 in \(each) of \(FigureText.count(intervals.count)) is drawn."
            frame.caption = caption.isEmpty ? note : "\(caption) \(note)"
        }
        frame.xTicks = axis.ticks
        frame.yTicks = scale.ticks
        frame.legend = [
            .init(name: upperName, tint: .series(0), symbol: .dot),
            .init(name: intervalName, tint: .series(2), symbol: .interval),
        ]
        if let zeroName {
            frame.legend.append(.init(name: zeroName, tint: .neutral, symbol: .dashes))
        }
        if intervals.isEmpty { frame.emptyText = "Nothing was measured." }
        frame.write(into: &markup) { markup in
            markup.stretched(height: Self.height) { markup in
                var strokes = ""
                var dots = ""
                for index in stride(from: 0, to: intervals.count, by: max(1, each)) {
                    let interval = intervals[index]
                    let x = svg(axis.fraction(interval.moment) * ChartFrame.stretchedWidth)
                    let top = (1 - scale.fraction(interval.upper.inSeconds)) * Self.height
                    dots += "M\(x) \(svg(top))h0"
                    guard let lower = interval.lower else { continue }
                    let bottom = (1 - scale.fraction(lower.inSeconds)) * Self.height
                    strokes += "M\(x) \(svg(top))V\(svg(bottom))"
                }
                markup.element("path", ["class": "stroke interval s2", "d": strokes])
                markup.element("path", ["class": "dots s0", "d": dots])
            }
            if zeroName != nil {
                let y = svg((1 - scale.fraction(0)) * Self.height)
                markup.element(
                    "line", ["class": "reference", "x1": "0", "x2": "100%", "y1": y, "y2": y])
            }
        }
    }

    private var summary: String {
        let widths = intervals.compactMap { interval in interval.lower.map { interval.upper - $0 } }
        return
            "\(FigureText.count(intervals.count)) results, \(FigureText.count(widths.count)) with "
            + "a lower bound; widest interval \(FigureText.duration(widths.max()))"
    }
}
