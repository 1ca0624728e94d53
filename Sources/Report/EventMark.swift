/// Something that was done in the course of a run, such as a reconfiguration: a vertical mark in
/// every chart over time, numbered in the order of the list.
public struct EventMark: Hashable, Sendable {
    /// What was done; cut short where it does not fit, whole when pointed at.
    public var label: String
    /// Since the start of the run.
    public var start: Duration
    /// When it was over; nil for a mere moment, or where it never ended.
    public var end: Duration?
    /// Whether it went wrong, as a command does that exits with another code than zero.
    public var hasFailed: Bool

    /// A moment, or a stretch of time.
    public init(_ label: String, start: Duration, end: Duration? = nil, hasFailed: Bool = false) {
        self.label = label
        self.start = start
        self.end = end
        self.hasFailed = hasFailed
    }

    fileprivate var tooltip: String {
        let moment = FigureText.duration(start)
        guard let end else { return "\(label): at \(moment)" }
        let length = FigureText.duration(end - start)
        return "\(label): at \(moment), took \(length)\(hasFailed ? ", failed" : "")"
    }
}

/// Where the events of a chart are marked and named. Badges that would cover each other move to
/// rows of their own; a name gets the room up to the next badge of its row.
struct EventLayout {
    struct Placement {
        var number: Int
        var event: EventMark
        var start: Double
        var end: Double
        /// Nil where there is no room for a badge: the mark is a line only.
        var row: Int?
        /// Cut to the room there is; empty where there is none.
        var label = ""
    }

    /// So that there are at most 42 badges; the marks of all further events are one path.
    static let maximumRows = 3
    static let rowHeight = 22.0
    /// A badge's share of the narrowest plot that is expected, 300 pixels.
    private static let badgeShare = 22.0 / 300
    /// A character's share of a plot of 900 pixels; where the page is narrower, names are hidden.
    private static let characterShare = 7.0 / 900

    let placements: [Placement]
    let rows: Int

    init(_ events: [EventMark], on axis: TimeAxis) {
        var ends: [Double] = []
        var placements = events.enumerated().map { index, event in
            let start = axis.fraction(event.start)
            var placement = Placement(
                number: index + 1, event: event, start: start,
                end: max(start, axis.fraction(event.end ?? event.start)))
            if let row = ends.firstIndex(where: { $0 <= start }) {
                placement.row = row
            } else if ends.count < Self.maximumRows {
                placement.row = ends.count
                ends.append(0)
            }
            if let row = placement.row { ends[row] = start + Self.badgeShare }
            return placement
        }
        for index in placements.indices {
            guard let row = placements[index].row else { continue }
            let next = placements[(index + 1)...].first { $0.row == row }?.start ?? 1.02
            let room = next - placements[index].start - 30.0 / 900
            placements[index].label = shortened(
                placements[index].event.label, to: Int(room / Self.characterShare))
        }
        self.placements = placements
        rows = ends.count
    }

    /// Above the plot.
    var height: Double { Double(rows) * Self.rowHeight }

    /// Bands and lines, behind what is measured.
    func writeMarks(into markup: inout Markup, height: Double) {
        let plain = placements.filter { $0.row == nil }
        if !plain.isEmpty {
            let places = Set(plain.map { svg($0.start * ChartFrame.stretchedWidth) }).sorted()
            markup.stretched(height: height) { markup in
                markup.element(
                    "path",
                    ["class": "event", "d": places.map { "M\($0) 0v\(svg(height))" }.joined()])
            }
        }
        for placement in placements {
            guard let row = placement.row else { continue }
            let style = placement.event.hasFailed ? "event failed" : "event"
            markup.element("g", ["class": style]) { markup in
                markup.element("title", text: placement.event.tooltip)
                if placement.end > placement.start {
                    markup.element(
                        "rect",
                        [
                            "x": percent(placement.start), "y": "0", "height": svg(height),
                            "width": percent(placement.end - placement.start),
                        ])
                }
                let x = percent(placement.start)
                let top = svg(-Double(rows - row - 1) * Self.rowHeight)
                markup.element("line", ["x1": x, "x2": x, "y1": top, "y2": svg(height)])
            }
        }
    }

    /// Badges and names, in front of everything.
    func writeBadges(into markup: inout Markup) {
        for placement in placements {
            guard let row = placement.row else { continue }
            let y = -Double(rows - row) * Self.rowHeight + Self.rowHeight / 2 - 3
            let style = placement.event.hasFailed ? "badge failed" : "badge"
            markup.element("g", ["class": style]) { markup in
                markup.element("title", text: placement.event.tooltip)
                let x = percent(placement.start)
                markup.element("circle", ["cx": x, "cy": svg(y), "r": "8"])
                markup.element(
                    "text", ["x": x, "y": svg(y + 3.5), "class": "n"], text: "\(placement.number)")
                if !placement.label.isEmpty {
                    markup.element(
                        "text", ["x": x, "y": svg(y + 4), "dx": "13", "class": "name"],
                        text: placement.label)
                }
            }
        }
    }

    /// The names under a chart whose page is too narrow to have them in it.
    func writeList(into markup: inout Markup) {
        let events = placements.map(\.event)
        guard rows > 0, events != markup.listedEvents else { return }
        markup.listedEvents = events
        markup.element("ol", ["class": "events"]) { markup in
            for placement in placements where placement.row != nil {
                markup.element(
                    "li", ["value": "\(placement.number)"], text: placement.event.label)
            }
        }
    }
}

/// A text cut to so many characters, the last an ellipsis; empty where hardly any would remain.
func shortened(_ text: String, to length: Int) -> String {
    if text.count <= length { return text }
    return length < 4 ? "" : text.prefix(length - 1) + "…"
}
