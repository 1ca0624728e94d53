import Pacing
import Report
import Telemetry

/// Everything that is hard on a page at once: more of it than there is room for, nothing at all,
/// and text that would like to be markup.
struct HardPage {
    /// Made once: all tests look at the same.
    static let html: [UInt8] = {
        var hard = HardPage()
        return hard.page().html
    }()

    static let script = "</title><script>alert(1)</script><img src=x onerror=alert(2)>\u{0}'\"&"
    static let lanes = 220
    static let events = 60
    static let pods = 14
    let title = script + String(repeating: "unbreakable", count: 8)
    private var random = SeededRandom(seed: 3)

    mutating func page() -> Page {
        var page = Page(title: title, subtitle: Self.script)
        page.figures = (0..<7).map { HeadlineFigure("\(Self.script) \($0)", Self.script) }
        page.sections = [
            Section(
                Self.script,
                [
                    .lanes(crowd()), .stacked(shares()), .latency(gaps()), .intervals(wide),
                    .stacked(fast),
                ]),
            Section("Nothing", nothing),
        ]
        page.footer = Footer(
            version: Self.script, command: Self.script, date: Self.script, notes: [Self.script])
        return page
    }

    private mutating func crowd() -> LaneChart {
        let categories = (0..<9).map { "pod-\($0) \(Self.script)" }
        var chart = LaneChart(
            title: Self.script, span: .zero ... .seconds(600),
            categories: Category.series(categories),
            markKinds: [
                .init("failure", .failure), .init("front", .dot), .init(Self.script, .tick),
            ])
        for lane in 0..<Self.lanes {
            var time = Duration.zero
            var segments: [LaneChart.Segment] = []
            while time < .seconds(600) {
                let end = time + .milliseconds(Int.random(in: 100...90_000, using: &random))
                let category = Int.random(in: 0..<9, using: &random)
                segments.append(.init(start: time, end: end, category: category))
                time = end
            }
            let failures: [Duration] = lane % 7 == 0 ? [.seconds(lane)] : []
            chart.lanes.append(
                .init(
                    "\(lane + 1)\(Self.script)", segments: segments,
                    marks: [.init(failures), .init(), .init([.seconds(lane)], count: 3)]))
        }
        chart.caption = Self.script
        chart.laneTitle = Self.script
        chart.events = (0..<Self.events).map { number in
            let start = Duration.seconds(number * number / 6)
            return EventMark(
                "\(Self.script) \(number)", start: start,
                end: number % 3 == 0 ? start + .seconds(12) : nil, hasFailed: number % 5 == 0)
        }
        return chart
    }

    private mutating func shares() -> StackedSeriesChart {
        var series: [StackedSeriesChart.Series] = []
        for pod in 0..<Self.pods {
            let most = Double(20 - pod)
            let values = (0..<1400).map { _ in Double.random(in: 0...most, using: &random) }
            series.append(.init(Category("pod-\(pod)", .series(pod)), values: values))
        }
        var chart = StackedSeriesChart(
            title: "Shares", span: .zero ... .seconds(7200), unit: Self.script, series: series)
        chart.isShare = true
        chart.references = [.init("fair share \(Self.script)", value: 1 / Double(Self.pods))]
        return chart
    }

    /// The longest labels that a vertical axis may have.
    private var wide: IntervalChart {
        IntervalChart(
            title: "Wide", quantity: Self.script, upperName: Self.script,
            intervalName: Self.script, zeroName: Self.script, span: .zero ... .seconds(1),
            intervals: (1...12).map {
                .init(
                    moment: .milliseconds($0 * 80), lower: .milliseconds($0 * -80),
                    upper: .milliseconds($0 * 40))
            })
    }

    private var fast: StackedSeriesChart {
        StackedSeriesChart(
            title: "Fast", span: .zero ... .seconds(3), unit: "requests/s",
            series: [.init(Category("a", .series(0)), values: [54_321, 1_234_567, 987_654])])
    }

    private func gaps() -> LatencyChart {
        let points = (0..<90).map { index -> LatencyChart.Point? in
            if (20..<30).contains(index) || index == 50 || index > 80 { return nil }
            return .init(
                median: .microseconds(800 + index), p99: .microseconds(1100 + 3 * index),
                maximum: .microseconds(1400 + 5 * (index % 9)))
        }
        var chart = LatencyChart(
            title: "Gaps", span: .zero ... .milliseconds(900), points: points)
        chart.events = [
            EventMark(
                "the only one, with a name that has the room it needs", start: .milliseconds(300),
                end: .milliseconds(380), hasFailed: true)
        ]
        return chart
    }

    private var nothing: [Section.Block] {
        let moment = Duration.zero...Duration.zero
        return [
            .lanes(LaneChart(title: "No lanes", span: moment, categories: [])),
            .stacked(StackedSeriesChart(title: "No series", span: moment, unit: "1/s", series: [])),
            .latency(LatencyChart(title: "No latency", span: moment, points: [nil, nil])),
            .distribution(
                DistributionChart(
                    title: "No values", quantity: "latency", population: "requests",
                    curves: [.init(Category("none", .series(0)), LatencyHistogram())])),
            .intervals(
                IntervalChart(
                    title: "No results", quantity: "time", upperName: "answer",
                    intervalName: "bounds", span: moment, intervals: [])),
            .table(Table(columns: [.text("name"), .number("value", unit: "ms")])),
        ]
    }
}
