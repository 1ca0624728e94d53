import Pacing
import ProxyReload
import Report
import Telemetry

/// A bench as a page: what every client saw, what the events did, and how long answers took.
struct ReloadPage {
    var report: BenchReport
    var began: WallClock

    private var timeline: ReloadTimeline { report.timeline }
    private var total: TimelinePeriod { report.timeline.total }

    var page: Page {
        let url = report.configuration.url
        let length = FigureText.duration(.nanoseconds(report.elapsedNanoseconds))
        var page = Page(
            title: "Reverse proxy reconfigured at run time",
            subtitle: "http://\(url.authority)\(url.target) · \(clients) for \(length) · \(loop)")
        page.figures = figures
        let charts = ReloadCharts(report)
        let tables = ReloadTables(report)
        page.sections = [
            Section(
                "Timeline",
                [.lanes(charts.lanes), .stacked(charts.throughput), .latency(charts.latency)])
        ]
        if !timeline.events.isEmpty {
            let all = [tables.events, tables.latencies, tables.changes].compactMap { $0 }
            page.sections.append(Section("Events", all.map { .table($0) }))
        }
        page.sections += [
            Section("Latency", [.distribution(charts.distribution)]),
            Section(
                "Failures", [tables.kinds, tables.failures].compactMap { $0 }.map { .table($0) }),
            Section("Instances", [.table(tables.instances)]),
        ]
        page.footer = Footer(began: began, notes: notes)
        return page
    }

    private var clients: String {
        let count = report.configuration.clients
        return "\(FigureText.count(count)) keep-alive client\(count == 1 ? "" : "s")"
    }

    private var loop: String {
        report.configuration.rate.map { "open loop, \(FigureText.number($0)) requests/s" }
            ?? "closed loop"
    }

    /// The four counts of the last line first.
    private var figures: [HeadlineFigure] {
        let share = total.requests > 0 ? Double(total.failureCount) / Double(total.requests) : 0
        return [
            HeadlineFigure("success", FigureText.count(total.successes), detail: "status 200"),
            HeadlineFigure(
                "failure", FigureText.count(total.failureCount),
                detail: total.failureCount == 0
                    ? "of \(FigureText.count(total.requests))" : FigureText.percent(share),
                tone: total.failureCount == 0 ? .good : .bad),
            HeadlineFigure(
                "front changed", FigureText.count(total.frontChanges),
                detail: "client reconnected"),
            HeadlineFigure(
                "back changed", FigureText.count(total.backChanges),
                detail: "other backend connection"),
            HeadlineFigure(
                "requests/s", FigureText.number(report.rate), detail: "over the whole run"),
            HeadlineFigure(
                "latency, p50", FigureText.duration(total.latency.percentile(50)),
                detail: "p99 \(FigureText.duration(total.latency.percentile(99))), "
                    + "max \(FigureText.duration(total.latency.maximum))"),
            HeadlineFigure(
                "own delay, p99", FigureText.duration(report.delays.percentile(99)),
                detail: report.isTailItsOwn
                    ? "a tenth or more of the tail" : "how late this process was",
                tone: report.isTailItsOwn ? .bad : .plain),
        ]
    }

    /// What casts doubt on the figures.
    private var warnings: [String] {
        var notes = report.failedEvents.map {
            "The command of an event failed: \($0.command): \($0.result)."
        }
        if report.isTailItsOwn {
            notes.append(
                "This process's own delay (p99 "
                    + "\(FigureText.duration(report.delays.percentile(99)))) is a tenth or more of "
                    + "the latency's: distrust the tail.")
        }
        if total.localCount > 0 {
            notes.append(
                "\(FigureText.count(total.localCount)) requests could not be sent for this "
                    + "machine's own trouble; they are no failures.")
        }
        return notes
    }

    /// What a reader must know to judge the figures.
    private var notes: [String] {
        var notes = warnings
        if report.configuration.rate == nil {
            notes.append(
                "Latency counts from when the client turned to the request. A closed loop cannot "
                    + "show a stall as users feel it: each client waits with one request instead "
                    + "of sending the next (coordinated omission); --rate can.")
        } else {
            notes.append("Latency counts from when the request was due.")
        }
        notes.append(
            "This process itself was late by \(FigureText.duration(report.delays.percentile(99))) "
                + "(p99), at most \(FigureText.duration(report.delays.maximum)).")
        notes.append(
            "Percentiles over time are within 3 %, all others within 0.4 %; counts are exact.")
        if report.unsent > 0 {
            notes.append("\(FigureText.count(report.unsent)) requests were due and had not begun.")
        }
        if report.held > .zero {
            notes.append(
                "No request began for \(FigureText.duration(report.held)): the recording could "
                    + "not be written any faster.")
        }
        if report.inFlight > 0 {
            notes.append(
                "\(FigureText.count(report.inFlight)) requests were given up under way and are "
                    + "not counted.")
        }
        if timeline.uncountedEvents > 0 {
            notes.append(
                "\(FigureText.count(timeline.uncountedEvents)) further events are not shown.")
        }
        if let failure = report.recordingFailure {
            notes.append("The recording is not whole: \(failure).")
        } else if let path = report.configuration.csvPath {
            notes.append("Every request: \(path)")
        }
        return notes
    }
}
