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
        page.sections = [Section("Timeline", [.lanes(lanes)])]
        page.footer = Footer(
            version: "0.1.0", command: "sonde reload bench http://127.0.0.1:8080/ --duration 8s",
            date: "2026-11-21T10:00:00Z")
        return page
    }

    var counts: Counts {
        var counts = Counts()
        eachInOrder { request, previous in
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

    private func eachInOrder(_ body: (Request, _ previous: Request?) -> Void) {
        var previous: [Int: Request] = [:]
        for request in requests {
            body(request, previous[request.client])
            previous[request.client] = request
        }
    }
}
