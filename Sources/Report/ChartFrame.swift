/// What all charts have in common: heading, legend, axes, events, the table underneath.
///
/// Horizontal places are shares of the width, so that one drawing serves a telephone and a wide
/// screen with text of the same size on both; vertical ones are pixels. Shapes that SVG cannot
/// place by percent are drawn in a layer that is stretched, 1000 units wide.
struct ChartFrame {
    static let stretchedWidth = 1000.0

    var title: String
    var caption: String
    /// For those who hear the page.
    var summary: String
    var legend: [LegendEntry] = []
    /// Pixels.
    var height: Double
    var xTitle: String
    var xTicks: [Tick] = []
    /// What the vertical axis measures, with its unit.
    var yTitle: String
    var yTicks: [Tick] = []
    var events: EventLayout?
    /// Said in the middle of a chart that has nothing to show.
    var emptyText: String?
    var table: Table?

    struct LegendEntry {
        enum Symbol: String {
            case area, line, thinLine, band, dot, tick, failure, dashes, interval, gap
        }
        var name: String
        var tint: Tint
        var symbol: Symbol
    }

    private static let titleHeight = 28.0
    private static let axisHeight = 40.0
    private static let emptyHeight = 100.0
    /// Characters of an axis's title that fit the narrowest page.
    private static let titleLength = 44

    func write(into markup: inout Markup, plot: (inout Markup) -> Void) {
        var frame = self
        if emptyText != nil { frame.height = min(height, Self.emptyHeight) }
        frame.writeFigure(into: &markup, plot: plot)
    }

    private func writeFigure(into markup: inout Markup, plot: (inout Markup) -> Void) {
        markup.element("figure") { markup in
            markup.element("figcaption") { markup in
                markup.element("h3", text: title)
                if !caption.isEmpty { markup.element("p", text: caption) }
            }
            writeLegend(into: &markup)
            writePlot(into: &markup, plot)
            events?.writeList(into: &markup)
            if let table {
                markup.element("details") { markup in
                    markup.element("summary", text: "Figures")
                    table.write(into: &markup)
                }
            }
        }
    }

    private func writeLegend(into markup: inout Markup) {
        guard !legend.isEmpty else { return }
        markup.element("ul", ["class": "legend"]) { markup in
            for entry in legend {
                markup.element("li") { markup in
                    markup.element("i", ["class": "\(entry.symbol.rawValue) \(entry.tint.name)"])
                    markup.text(entry.name)
                }
            }
        }
    }

    private func writePlot(into markup: inout Markup, _ plot: (inout Markup) -> Void) {
        let top = Self.titleHeight + (events.map { $0.height - 8 } ?? 0)
        let titleName = markup.identifier("t")
        let summaryName = markup.identifier("d")
        markup.element("div", ["class": "plot"]) { markup in
            markup.element(
                "svg",
                [
                    "role": "img", "aria-labelledby": "\(titleName) \(summaryName)",
                    "width": "100%", "height": svg(top + height + Self.axisHeight),
                ]
            ) { markup in
                markup.element("title", ["id": titleName], text: title)
                markup.element("desc", ["id": summaryName], text: summary)
                markup.element(
                    "text", ["class": "axis left", "x": "0", "y": "10", "dx": "-50"],
                    text: shortened(yTitle, to: Self.titleLength))
                markup.element("g", ["transform": "translate(0 \(svg(top)))"]) { markup in
                    writeGrid(into: &markup)
                    events?.writeMarks(into: &markup, height: height)
                    if let emptyText {
                        markup.element(
                            "text", ["class": "empty", "x": "50%", "y": svg(height / 2)],
                            text: emptyText)
                    } else {
                        plot(&markup)
                    }
                    writeAxes(into: &markup)
                    events?.writeBadges(into: &markup)
                }
            }
        }
    }

    /// Where nothing was measured, numbers would only mislead.
    private var shownTicks: [Tick] { emptyText == nil ? yTicks : [] }

    private func writeGrid(into markup: inout Markup) {
        markup.element("g", ["class": "grid"]) { markup in
            for tick in shownTicks {
                let y = svg((1 - tick.fraction) * height)
                markup.element("line", ["x1": "0", "x2": "100%", "y1": y, "y2": y])
            }
            for tick in xTicks {
                let x = percent(tick.fraction)
                markup.element("line", ["x1": x, "x2": x, "y1": "0", "y2": svg(height)])
            }
        }
    }

    private func writeAxes(into markup: inout Markup) {
        markup.element(
            "line", ["class": "base", "x2": "100%", "y1": svg(height), "y2": svg(height)])
        markup.element("g", ["class": "y"]) { markup in
            for tick in shownTicks {
                let y = svg((1 - tick.fraction) * height + 4)
                markup.element("text", ["x": "0", "dx": "-8", "y": y], text: tick.label)
            }
        }
        markup.element("g", ["class": "x"]) { markup in
            for tick in xTicks {
                markup.element(
                    "text",
                    [
                        "x": percent(tick.fraction), "y": svg(height + 16),
                        "class": tick.isFine ? "fine" : "coarse",
                    ], text: tick.label)
            }
            markup.element(
                "text", ["class": "axis", "x": "50%", "y": svg(height + 35)],
                text: shortened(xTitle, to: Self.titleLength))
        }
    }
}

extension Markup {
    /// A layer in which horizontal units are thousandths of the plot's width.
    mutating func stretched(height: Double, _ content: (inout Markup) -> Void) {
        element(
            "svg",
            [
                "class": "stretched", "width": "100%", "height": svg(height),
                "viewBox": "0 0 \(svg(ChartFrame.stretchedWidth)) \(svg(height))",
                "preserveAspectRatio": "none",
            ], content)
    }
}
