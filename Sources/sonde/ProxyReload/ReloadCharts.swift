import Pacing
import ProxyReload
import Report
import Telemetry

/// The charts of a bench's page, all over the same time and with the same colours.
struct ReloadCharts {
    private let report: BenchReport
    private let columns: TimeColumns
    /// So many instances, the first that answered, have a colour; all further ones share one.
    private let coloured: Int
    /// Their numbers in the order of their names, so that colours are the same in the next run.
    private let order: [Int]
    /// By their numbers: their places in that order.
    private let ranks: [Int]
    private let hasUnnamed: Bool

    private var timeline: ReloadTimeline { report.timeline }

    init(_ report: BenchReport) {
        self.report = report
        columns = TimeColumns(report)
        let instances = report.timeline.total.instances.count
        coloured = instances <= Tint.seriesCount ? instances : Tint.seriesCount - 1
        let table = report.timeline.instances
        let order = (0..<coloured).sorted { table.name(UInt16($0)) < table.name(UInt16($1)) }
        self.order = order
        ranks = (0..<coloured).map { order.firstIndex(of: $0) ?? $0 }
        hasUnnamed = report.timeline.total.latency.count > UInt64(report.timeline.total.answers)
    }

    private var marks: [EventMark] {
        timeline.events.map { event in
            EventMark(
                event.isMark ? "mark" : event.command, start: .nanoseconds(event.startNanoseconds),
                end: event.endNanoseconds.map { .nanoseconds($0) }, hasFailed: !event.isGood)
        }
    }

    /// The coloured instances, then the others, then answers without a name; each where it occurs.
    private var categories: [Category] {
        let instances = timeline.total.instances.count
        var categories = Category.series(
            order.map { timeline.instances.name(UInt16($0)) })
        if instances > coloured {
            categories.append(Category("\(instances - coloured) others", .neutral))
        }
        if hasUnnamed { categories.append(Category("no instance named", .soft)) }
        return categories
    }

    private func category(of instance: UInt16?) -> Int {
        guard let instance else { return categories.count - 1 }
        return Int(instance) < coloured ? ranks[Int(instance)] : coloured
    }

    // MARK: - Clients

    var lanes: LaneChart {
        var chart = LaneChart(
            title: "Clients", span: columns.span, categories: categories,
            markKinds: [
                .init("failure", .failure), .init("front changed", .dot),
                .init("back changed", .tick),
            ],
            lanes: timeline.lanes.enumerated().map { number, lane in
                LaneChart.Lane(
                    "\(number)", segments: segments(of: lane),
                    marks: [lane.failures, lane.frontChanges, lane.backChanges].map { set in
                        .init(set.moments.map { .nanoseconds($0) }, count: set.count)
                    })
            })
        chart.caption =
            "One lane a client, coloured by the instance that answered it last; gaps lie between "
            + "two answers where a request failed, or waited longer than "
            + FigureText.duration(.nanoseconds(ClientLane.longestWaitNanoseconds)) + "."
        chart.events = marks
        return chart
    }

    /// Without gaps where a client merely had nothing to do.
    private func segments(of lane: ClientLane) -> [LaneChart.Segment] {
        lane.segments.indices.flatMap { index in
            let next = index + 1 < lane.segments.count ? lane.segments[index + 1] : nil
            let isFollowed = next.map { !$0.followsGap } ?? false
            let end = isFollowed ? next?.startNanoseconds : nil
            return segments(of: lane.segments[index], until: end)
        }
    }

    /// One for each instance that took part.
    private func segments(of segment: LaneSegment, until next: Int64?) -> [LaneChart.Segment] {
        let start = Duration.nanoseconds(segment.startNanoseconds)
        let end = Duration.nanoseconds(max(segment.endNanoseconds, next ?? 0))
        guard segment.isMixed else {
            return [.init(start: start, end: end, category: category(of: segment.instance))]
        }
        var shares = Array(repeating: 0, count: categories.count)
        for number in segment.answers.indices where segment.answers[number] > 0 {
            let isRest = number == segment.answers.scalarCount - 1
            let category = category(of: isRest ? nil : UInt16(number))
            shares[min(category, categories.count - 1)] += Int(segment.answers[number])
        }
        return shares.indices.filter { shares[$0] > 0 }.map { category in
            LaneChart.Segment(
                start: start, end: end, category: category,
                share: Double(shares[category]) / Double(segment.requests))
        }
    }

    // MARK: - All clients together

    var throughput: StackedSeriesChart {
        let bins = timeline.bins
        let total = timeline.total
        var series: [StackedSeriesChart.Series] = []
        func add(_ category: Category, total: Int, count: (Int) -> Int) {
            series.append(
                .init(
                    category,
                    values: columns.indices.map { column in
                        let sum = columns.bins(of: column).reduce(0) { $0 + count($1) }
                        return Double(sum) / columns.seconds(of: column)
                    }, total: total))
        }
        let categories = self.categories
        for (rank, number) in order.enumerated() {
            add(categories[rank], total: total.instances[number].answers) {
                bins.requests(bin: $0, instance: UInt16(number))
            }
        }
        func named(_ bin: Int) -> Int {
            (0...TimelineBins.instanceLimit).reduce(0) {
                $0 + bins.requests(bin: bin, instance: UInt16($1))
            }
        }
        if total.instances.count > coloured {
            let rest = total.instances[coloured...].reduce(0) { $0 + $1.answers }
            add(categories[coloured], total: rest) { bin in
                (0..<coloured).reduce(named(bin)) {
                    $0 - bins.requests(bin: bin, instance: UInt16($1))
                }
            }
        }
        let answered = Int(clamping: total.latency.count)
        if let last = categories.last, hasUnnamed {
            add(last, total: answered - total.answers) { bins.bins[$0].answers - named($0) }
        }
        let unanswered = total.requests - answered - total.localCount
        if unanswered > 0 {
            add(Category("no answer", .failure), total: unanswered) {
                bins.bins[$0].requests - bins.bins[$0].answers - bins.bins[$0].locals
            }
        }
        if total.localCount > 0 {
            add(Category("not sent: local trouble", .ink), total: total.localCount) {
                bins.bins[$0].locals
            }
        }
        var chart = StackedSeriesChart(
            title: "Requests by instance", span: columns.span, unit: "requests/s", series: series)
        chart.events = marks
        return chart
    }

    var latency: LatencyChart {
        let bins = timeline.bins
        func value(_ column: Int, _ percent: Double) -> Duration? {
            bins.latencyNanoseconds(bins: columns.bins(of: column), percent: percent)
                .map { .nanoseconds($0) }
        }
        var chart = LatencyChart(
            title: "Latency", span: columns.span,
            points: columns.indices.map { column in
                guard let median = value(column, 50), let p99 = value(column, 99),
                    let largest = value(column, 100)
                else { return nil }
                return LatencyChart.Point(median: median, p99: p99, maximum: largest)
            })
        chart.caption =
            "Every \(FigureText.duration(columns.width)), of the requests answered in them."
        chart.events = marks
        return chart
    }

    // MARK: - Distribution

    private static let windowLimit = 4

    /// All answers; and where there are events, those before the first and in their windows.
    var distribution: DistributionChart {
        let windows = timeline.windows
        var curves = [DistributionChart.Curve(Category("whole run", .ink), timeline.total.latency)]
        if let before = windows.first?.before {
            curves.append(.init(Category("before event 1", .soft), before.latency))
        }
        let drawn = windows.filter { $0.window.latency.count > 0 }
            .sorted { tail($0) > tail($1) }.prefix(Self.windowLimit)
        let tints: [Tint] = [.series(1), .series(2), .series(3), .series(4)]
        for (window, tint) in zip(drawn.sorted { $0.index < $1.index }, tints) {
            let name = "from event \(window.index + 1)"
            curves.append(.init(Category(name, tint), window.window.latency))
        }
        var chart = DistributionChart(
            title: "Distribution of latency", quantity: "latency", population: "requests",
            curves: curves)
        chart.caption = "Each step up is ten times rarer."
        if windows.count > Self.windowLimit {
            chart.caption += " The \(Self.windowLimit) events with the highest p99."
        }
        return chart
    }

    private func tail(_ window: EventWindow) -> Duration {
        window.window.latency.percentile(99) ?? .zero
    }
}

/// The run cut into columns that are wide enough to have something to say.
struct TimeColumns {
    private static let fewest = 40
    private static let most = 400
    /// So that a percentile is one of several values.
    private static let requestsPerColumn = 50

    private let binWidth: Int64
    private let binCount: Int
    private let perColumn: Int
    private let end: Int64
    private let count: Int

    init(_ report: BenchReport) {
        let bins = report.timeline.bins
        binWidth = bins.widthNanoseconds
        binCount = bins.bins.count
        end = max(report.elapsedNanoseconds, report.timeline.total.endNanoseconds, binWidth)
        let wanted = min(
            max(report.timeline.total.requests / Self.requestsPerColumn, Self.fewest), Self.most)
        let whole = Int(end / binWidth) + 1
        perColumn = max(1, (whole + wanted - 1) / wanted)
        // A remainder of less than half a column is no column of its own.
        let width = binWidth * Int64(perColumn)
        count = max(1, Int((end + width / 2) / width))
    }

    var indices: Range<Int> { 0..<count }
    var width: Duration { .nanoseconds(binWidth * Int64(perColumn)) }
    var span: ClosedRange<Duration> { .zero...(width * count) }

    /// All bins belong to a column.
    func bins(of column: Int) -> Range<Int> {
        let first = min(column * perColumn, binCount)
        let end = column == count - 1 ? binCount : (column + 1) * perColumn
        return first..<max(first, min(end, binCount))
    }

    /// The last column ends with the run.
    func seconds(of column: Int) -> Double {
        let width = binWidth * Int64(perColumn)
        let end = column == count - 1 ? self.end : Int64(column + 1) * width
        return Double(end - Int64(column) * width) / 1e9
    }
}
