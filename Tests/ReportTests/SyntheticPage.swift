import Pacing
import Report
import Telemetry

/// How a page is composed, by the example of a run through a reconfigured proxy.
extension SyntheticRun {
    struct Counts: Equatable {
        var success = 0
        var failure = 0
        var frontChanged = 0
        var backChanged = 0
    }

    var page: Page {
        let counts = counts
        var page = Page(
            title: "Reverse proxy reconfigured at run time",
            subtitle: "http://127.0.0.1:8080/ · 10 keep-alive clients for 8 s · closed loop")
        page.figures = [
            HeadlineFigure("success", FigureText.count(counts.success), detail: "status 200"),
            HeadlineFigure(
                "failure", FigureText.count(counts.failure), detail: "all in event 2",
                tone: .bad),
            HeadlineFigure("front changed", FigureText.count(counts.frontChanged)),
            HeadlineFigure("back changed", FigureText.count(counts.backChanged)),
        ]
        page.sections = [
            Section("Timeline", [.lanes(lanes), .stacked(throughput), .latency(latencyOverTime)]),
            Section("Events", [.table(eventTable)]),
            Section("Latency", [.distribution(distribution)]),
            Section("Instances", [.table(instanceTable)]),
        ]
        page.footer = Footer(
            version: "0.1.0", command: "sonde reload bench http://127.0.0.1:8080/ --duration 8s",
            date: "2026-11-21T10:00:00Z")
        return page
    }

    var counts: Counts { counts(in: .zero..<Self.duration) }

    private func counts(in window: Range<Duration>) -> Counts {
        var counts = Counts()
        eachInOrder { request, previous in
            guard window.contains(request.time) else { return }
            if request.instance == nil { counts.failure += 1 } else { counts.success += 1 }
            guard let previous else { return }
            if previous.frontPort != request.frontPort { counts.frontChanged += 1 }
            if previous.backPort != request.backPort { counts.backChanged += 1 }
        }
        return counts
    }

    var marks: [EventMark] {
        events.map { EventMark($0.label, start: $0.start, end: $0.end) }
    }

    var lanes: LaneChart {
        var chart = LaneChart(
            title: "Clients", span: .zero...Self.duration,
            categories: Category.series(Self.instances),
            markKinds: [
                .init("failure", .failure), .init("front changed", .dot),
                .init("back changed", .tick),
            ],
            lanes: (0..<clients).map { LaneChart.Lane("\($0 + 1)", segments: []) })
        chart.caption = "One lane a client, coloured by the instance that answered it."
        chart.events = marks
        var kinds = Array(
            repeating: (failures: [Duration](), fronts: [Duration](), backs: [Duration]()),
            count: clients)
        eachInOrder { request, previous in
            let client = request.client
            if let instance = request.instance {
                chart.lanes[client].segments.append(
                    .init(
                        start: request.time, end: request.time + request.latency,
                        category: instance))
            } else {
                kinds[client].failures.append(request.time)
            }
            guard let previous else { return }
            if previous.frontPort != request.frontPort { kinds[client].fronts.append(request.time) }
            if previous.backPort != request.backPort { kinds[client].backs.append(request.time) }
        }
        for (client, kind) in kinds.enumerated() {
            chart.lanes[client].marks = [
                .init(kind.failures), .init(kind.fronts), .init(kind.backs),
            ]
        }
        return chart
    }

    private static let column = Duration.milliseconds(50)
    private var columns: Int { Int(Self.duration / Self.column) }

    var throughput: StackedSeriesChart {
        var values = Array(
            repeating: Array(repeating: 0.0, count: columns), count: Self.instances.count)
        var totals = Array(repeating: 0, count: Self.instances.count)
        for request in requests {
            guard let instance = request.instance else { continue }
            let column = min(Int(request.time / Self.column), columns - 1)
            values[instance][column] += 1 / (Self.column / .seconds(1))
            totals[instance] += 1
        }
        let categories = Category.series(Self.instances)
        var chart = StackedSeriesChart(
            title: "Requests answered", span: .zero...Self.duration, unit: "requests/s",
            series: categories.indices.map {
                .init(categories[$0], values: values[$0], total: totals[$0])
            })
        chart.events = marks
        return chart
    }

    var latencyOverTime: LatencyChart {
        var histograms = Array(repeating: LatencyHistogram(), count: columns)
        for request in requests where request.instance != nil {
            let column = min(Int(request.time / Self.column), columns - 1)
            histograms[column].record(request.latency)
        }
        var chart = LatencyChart(
            title: "Latency", span: .zero...Self.duration, points: histograms.map { .init($0) })
        chart.caption = "Every 50 ms, of the requests sent in them."
        chart.events = marks
        return chart
    }

    /// Half a second from the start of an event.
    private func window(_ event: Event) -> Range<Duration> {
        event.start..<(event.start + .milliseconds(500))
    }

    private func latency(in windows: [Range<Duration>]) -> LatencyHistogram {
        var histogram = LatencyHistogram()
        for request in requests where request.instance != nil {
            if windows.contains(where: { $0.contains(request.time) }) {
                histogram.record(request.latency)
            }
        }
        return histogram
    }

    var distribution: DistributionChart {
        let before = latency(in: [.zero..<events[0].start])
        let reload = latency(in: [window(events[1])])
        var chart = DistributionChart(
            title: "Distribution of latency", quantity: "latency", population: "requests",
            curves: [
                .init(Category("before the first event", .soft), before),
                .init(Category("half a second from event 2", .series(0)), reload),
            ])
        chart.caption = "Each step up is ten times rarer."
        return chart
    }

    var eventTable: Table {
        Table(
            caption: "Within half a second from the start of each event",
            columns: [
                .text("event"), .number("at"), .number("took"), .number("failures"),
                .number("front changed"), .number("back changed"), .number("p50"), .number("p99"),
                .number("max"),
            ],
            rows: events.enumerated().map { index, event in
                let counts = counts(in: window(event))
                let latency = latency(in: [window(event)])
                return [
                    .init("\(index + 1)  \(event.label)"), .duration(event.start),
                    .duration(event.end - event.start),
                    .count(counts.failure, tone: counts.failure > 0 ? .bad : .plain),
                    .count(counts.frontChanged), .count(counts.backChanged),
                    .duration(latency.percentile(50)), .duration(latency.percentile(99)),
                    .duration(latency.maximum),
                ]
            })
    }

    var instanceTable: Table {
        Table(
            columns: [
                .text("instance"), .number("requests"), .number("share"), .number("first answer"),
                .number("last answer"),
            ],
            rows: Self.instances.indices.map { instance in
                let own = requests.filter { $0.instance == instance }
                let success = counts.success
                return [
                    .init(Self.instances[instance]), .count(own.count),
                    .percent(Double(own.count) / Double(max(1, success))),
                    .duration(own.first?.time), .duration(own.last?.time),
                ]
            })
    }

    private func eachInOrder(_ body: (Request, _ previous: Request?) -> Void) {
        var previous: [Int: Request] = [:]
        for request in requests {
            body(request, previous[request.client])
            previous[request.client] = request
        }
    }
}
