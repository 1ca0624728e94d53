/// What every client was connected to in the course of a run: a lane each, coloured by instance,
/// with marks for what happened to it.
///
/// The number of SVG elements is bounded whatever the size of the run: at most
/// ``maximumLanes`` lanes (beyond, neighbours share one), each with one path a category and a mark
/// kind. A lane has up to 1000 columns, about a pixel each; what is shorter than one is merged:
/// where several instances answer in turns, the lane is divided among them by their share of time.
public struct LaneChart: Sendable {
    /// A stretch of time during which one instance answered.
    public struct Segment: Hashable, Sendable {
        /// Since the start of the run.
        public var start: Duration
        /// Not before the start.
        public var end: Duration
        /// An index into ``LaneChart/categories``.
        public var category: Int
        /// Of all answers in that time; below one where others have segments of the same time.
        public var share: Double

        /// One run of answers from the same instance, or its share of a time of turns.
        public init(start: Duration, end: Duration, category: Int, share: Double = 1) {
            self.start = start
            self.end = end
            self.category = category
            self.share = share
        }
    }

    /// How often something happened to a client, and when.
    public struct Marks: Hashable, Sendable {
        /// All of them, also those whose moments were not kept.
        public var count: Int
        /// Since the start of the run, in any order.
        public var moments: [Duration]

        /// - Parameter count: how many there were; as many as there are moments when it is nil.
        public init(_ moments: [Duration] = [], count: Int? = nil) {
            self.moments = moments
            self.count = count ?? moments.count
        }
    }

    /// One client.
    public struct Lane: Hashable, Sendable {
        /// Short: eight characters have room.
        public var name: String
        /// In any order; gaps are times without an answer.
        public var segments: [Segment]
        /// One for each of ``LaneChart/markKinds``.
        public var marks: [Marks]

        /// A client with what happened to it.
        public init(_ name: String, segments: [Segment], marks: [Marks] = []) {
            self.name = name
            self.segments = segments
            self.marks = marks
        }
    }

    /// Something that happens to a client at a moment.
    public struct MarkKind: Hashable, Sendable {
        /// How it is drawn.
        public enum Symbol: Hashable, Sendable {
            /// A red stroke through the lane.
            case failure
            /// A dot on its upper edge.
            case dot
            /// A stroke below it.
            case tick
        }
        /// As in the legend.
        public var name: String
        /// One kind for each symbol at most.
        public var symbol: Symbol

        /// A kind under its name.
        public init(_ name: String, _ symbol: Symbol) {
            self.name = name
            self.symbol = symbol
        }
    }

    /// More lanes than this are joined with their neighbours.
    public static let maximumLanes = 50

    /// The heading.
    public var title: String
    /// How to read it, in a sentence; may be empty.
    public var caption = ""
    /// What a lane is: "client".
    public var laneTitle = "client"
    /// The time that is shown, since the start of the run.
    public var span: ClosedRange<Duration>
    /// What a segment can be.
    public var categories: [Category]
    /// What a mark can be.
    public var markKinds: [MarkKind]
    /// From top to bottom.
    public var lanes: [Lane]
    /// Vertical marks.
    public var events: [EventMark] = []

    /// An empty chart.
    public init(
        title: String, span: ClosedRange<Duration>, categories: [Category],
        markKinds: [MarkKind] = [], lanes: [Lane] = []
    ) {
        self.title = title
        self.span = span
        self.categories = categories
        self.markKinds = markKinds
        self.lanes = lanes
    }

    // MARK: - Drawing

    private static let bandTop = 5.0

    func write(into markup: inout Markup) {
        let axis = TimeAxis(span)
        let drawn = joined
        let rowHeight = drawn.count > 20 ? 17.0 : 24.0
        let bandHeight = drawn.count > 20 ? 8.0 : 12.0
        var frame = ChartFrame(
            title: title, caption: caption, summary: summary,
            height: max(80, Double(drawn.count) * rowHeight), xTitle: axis.title,
            yTitle: laneTitle)
        frame.xTicks = axis.ticks
        frame.events = EventLayout(events, on: axis)
        frame.legend = legend
        frame.table = table
        if !lanes.contains(where: { !$0.segments.isEmpty || $0.marks.contains { $0.count > 0 } }) {
            frame.emptyText = "No answer was recorded."
        }
        frame.yTicks = []
        let columns = min(1000, 20_000 / max(1, drawn.count))
        frame.write(into: &markup) { markup in
            markup.stretched(height: frame.height) { markup in
                for (index, lane) in drawn.enumerated() {
                    let top = Double(index) * rowHeight + Self.bandTop
                    let raster = LaneRaster(
                        lane.segments, categories: categories.count, axis: axis, columns: columns)
                    markup.element("g", ["class": "lane", "data-lane": lane.name]) { markup in
                        markup.element("title", text: tooltip(lane))
                        markup.element(
                            "rect",
                            [
                                "class": "track", "y": svg(top), "height": svg(bandHeight),
                                "width": svg(ChartFrame.stretchedWidth),
                            ])
                        for (category, path) in raster.paths(top: top, height: bandHeight) {
                            let tint = categories[category].tint.name
                            markup.element("path", ["class": "fill \(tint)", "d": path])
                        }
                        writeMarks(
                            of: lane, top: top, height: bandHeight, axis: axis, columns: columns,
                            into: &markup)
                    }
                }
            }
            for (index, lane) in drawn.enumerated() {
                let y = Double(index) * rowHeight + Self.bandTop + bandHeight / 2 + 4
                markup.element(
                    "text", ["class": "lane-name", "x": "0", "dx": "-8", "y": svg(y)],
                    text: shortened(lane.name, to: 8))
            }
        }
    }

    private func writeMarks(
        of lane: Lane, top: Double, height: Double, axis: TimeAxis, columns: Int,
        into markup: inout Markup
    ) {
        for (kind, marks) in zip(markKinds, lane.marks) where !marks.moments.isEmpty {
            // One stroke a column: more could not be told apart.
            let places = Set(marks.moments.map { Int(axis.fraction($0) * Double(columns)) })
            let (style, y, stroke) =
                switch kind.symbol {
                case .failure: ("mark failure", top - 3, "v\(svg(height + 6))")
                case .dot: ("mark dot", top, "h0")
                case .tick: ("mark tick", top + height + 2, "v\(svg(height / 3))")
                }
            let scale = ChartFrame.stretchedWidth / Double(columns)
            var path = ""
            let gap = max(2, columns * Self.densePixels / 1000)
            for run in Self.runs(of: places, gap: gap) {
                if kind.symbol == .tick, run.count >= Self.denseRun * gap {
                    let x = svg(Double(run.lowerBound) * scale)
                    let middle = svg(y + height / 6)
                    path += "M\(x) \(middle)h\(svg(Double(run.count) * scale))"
                } else {
                    for place in run where places.contains(place) {
                        path += "M\(svg(Double(place) * scale)) \(svg(y))\(stroke)"
                    }
                }
            }
            markup.element("path", ["class": style, "d": path])
        }
    }

    /// So many ticks, each within so many pixels of the one before, become one line along the lane:
    /// they would be a bar that is louder than the lane itself.
    private static let denseRun = 3
    private static let densePixels = 8

    /// Columns of which each is at most `gap` from the one before.
    private static func runs(of places: Set<Int>, gap: Int) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for place in places.sorted() {
            if let last = runs.last, place < last.upperBound + gap {
                runs[runs.count - 1] = last.lowerBound..<place + 1
            } else {
                runs.append(place..<place + 1)
            }
        }
        return runs
    }

    private var legend: [ChartFrame.LegendEntry] {
        categories.map { .init(name: $0.name, tint: $0.tint, symbol: .area) }
            + markKinds.map { kind in
                switch kind.symbol {
                case .failure: .init(name: kind.name, tint: .failure, symbol: .failure)
                case .dot: .init(name: kind.name, tint: .ink, symbol: .dot)
                case .tick: .init(name: kind.name, tint: .neutral, symbol: .tick)
                }
            }
    }

    /// Neighbours in one lane where there are too many.
    private var joined: [Lane] {
        guard lanes.count > Self.maximumLanes else { return lanes }
        let size = (lanes.count + Self.maximumLanes - 1) / Self.maximumLanes
        return stride(from: 0, to: lanes.count, by: size).map { first in
            let group = lanes[first..<min(first + size, lanes.count)]
            let last = group.last?.name ?? ""
            return Lane(
                group.count == 1 ? last : "\(lanes[first].name)–\(last)",
                segments: group.flatMap(\.segments),
                marks: markKinds.indices.map { kind in
                    let all = group.compactMap { kind < $0.marks.count ? $0.marks[kind] : nil }
                    return Marks(all.flatMap(\.moments), count: all.reduce(0) { $0 + $1.count })
                })
        }
    }

    private func count(_ kind: Int, of lane: Lane) -> Int {
        kind < lane.marks.count ? lane.marks[kind].count : 0
    }

    private func tooltip(_ lane: Lane) -> String {
        let counts = markKinds.enumerated().map { index, kind in
            "\(kind.name): \(FigureText.count(count(index, of: lane)))"
        }
        return (["\(laneTitle) \(lane.name)"] + counts).joined(separator: "\n")
    }

    private var summary: String {
        let counts = markKinds.enumerated().map { index, kind in
            let sum = lanes.reduce(0) { $0 + count(index, of: $1) }
            return "\(kind.name): \(FigureText.count(sum))"
        }
        return (["\(FigureText.count(lanes.count)) lanes"] + counts).joined(separator: ", ")
    }

    private var table: Table {
        Table(
            caption: title,
            columns: [.text(laneTitle)] + markKinds.map { .number($0.name) }
                + categories.map { .number($0.name, unit: "share of time") },
            rows: lanes.map { lane in
                var times = Array(repeating: Duration.zero, count: categories.count)
                for segment in lane.segments where times.indices.contains(segment.category) {
                    times[segment.category] +=
                        max(.zero, segment.end - segment.start) * segment.share
                }
                let all = times.reduce(.zero, +)
                return [Table.Cell(lane.name)]
                    + markKinds.indices.map { .count(count($0, of: lane)) }
                    + times.map { all > .zero ? .percent($0 / all) : .init(FigureText.nothing) }
            })
    }
}
