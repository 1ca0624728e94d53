import LongLived
import Pacing
import Report
import Telemetry

/// A client's run as a page: which pods answered, second by second, and over how many connections.
struct LongLivedPage {
    var report: HoldReport
    var configuration: HoldClientConfiguration
    var began: WallClock

    var page: Page {
        let count = report.connections
        let think = configuration.think
        var page = Page(
            title: "Long-lived connections: who answered",
            subtitle: "\(report.target) · \(FigureText.count(count)) "
                + "connection\(count == 1 ? "" : "s") for \(FigureText.duration(report.elapsed)) "
                + "· pauses of \(FigureText.duration(think.lowerBound)) to "
                + FigureText.duration(think.upperBound))
        page.figures = figures
        var overTime: [Section.Block] = [.stacked(shares)]
        if report.pods.count > 1 { overTime.append(.stacked(jain)) }
        overTime += [.stacked(answers), .stacked(connections)]
        page.sections = [
            Section("Pods", [.table(pods)]),
            Section("Over time", overTime),
            Section("Latency", [.distribution(distribution)]),
            Section("Below the fair share", [.table(spells)]),
            Section("Failures", [.table(failures)]),
        ]
        page.footer = Footer(began: began, notes: notes)
        return page
    }

    private var figures: [HeadlineFigure] {
        let failed = report.failures.reduce(0) { $0 + ($1.kind.isLocal ? 0 : $1.count) }
        let gone = report.pods.count { $0.isGone }
        return [
            HeadlineFigure(
                "answers", FigureText.count(report.answered),
                detail: "of \(FigureText.count(report.sent)) requests"),
            HeadlineFigure(
                "failures", FigureText.count(failed),
                detail: "\(FigureText.count(report.reconnects)) reconnects",
                tone: failed == 0 ? .good : .bad),
            HeadlineFigure(
                "pods", FigureText.count(report.sharing),
                detail: (gone > 0 ? "and \(FigureText.count(gone)) gone; " : "")
                    + "largest \(figure(report.imbalance)) times its fair share"),
            HeadlineFigure(
                "Jain's index", figure(report.jainIndex),
                detail: "1 is even; last \(HoldReport.recentSeconds) s: "
                    + figure(report.recentJainIndex)),
            HeadlineFigure(
                "connections", FigureText.count(report.connections),
                detail: report.allOpenAfter.map {
                    "all open after \(FigureText.duration($0))"
                } ?? "never all open"),
            HeadlineFigure(
                "latency, p50", FigureText.duration(report.latencies.percentile(50)),
                detail: "p99 \(FigureText.duration(report.latencies.percentile(99)))"),
            HeadlineFigure(
                "own delay, p99", FigureText.duration(report.delays.percentile(99)),
                detail: report.isDelayedByItself
                    ? "a tenth or more of the slowest latencies" : "how late this process was",
                tone: report.isDelayedByItself ? .bad : .plain),
        ]
    }

    /// As in the text: both say the same.
    private func figure(_ value: Double?) -> String {
        value.map { HoldReport.figure($0) } ?? FigureText.nothing
    }

    // MARK: - Over time

    private var span: ClosedRange<Duration> {
        .zero ... .seconds(max(1, report.series.count * report.seriesGrain))
    }

    /// By pod, in the order of their names: its answers in each second.
    private var series: [StackedSeriesChart.Series] {
        let seconds = report.series
        let order = report.pods.indices.sorted { report.pods[$0].name < report.pods[$1].name }
        return order.enumerated().map { place, pod in
            .init(
                Category(report.pods[pod].name, .series(place)),
                values: seconds.map {
                    pod < $0.answers.count ? Double($0.answers[pod]) / Double($0.seconds) : 0
                },
                total: report.pods[pod].count)
        }
    }

    private var shares: StackedSeriesChart {
        var chart = StackedSeriesChart(
            title: "Share of each pod", span: span, unit: "answers", series: series)
        chart.isShare = true
        let count = report.sharing
        // Behind names that are gone, and pods that never answered, the others' colours meet
        // elsewhere.
        if report.pods.count != count { return chart }
        chart.caption = "Even where the colours meet at the dashed lines."
        chart.references = (1..<max(1, min(count, Tint.seriesCount))).map {
            .init("fair share of \(count) pods", value: Double($0) / Double(count))
        }
        return chart
    }

    private var answers: StackedSeriesChart {
        StackedSeriesChart(
            title: "Answers of each pod", span: span, unit: "answers/s", series: series)
    }

    /// Over as many seconds as fair shares are judged over: single seconds have few answers.
    private var jain: StackedSeriesChart {
        let values = report.series.map { $0.recentJainIndex ?? 0 }
        let name = "over the last \(HoldReport.recentSeconds) s"
        var chart = StackedSeriesChart(
            title: "Jain's index", span: span, unit: "Jain's index",
            series: [.init(Category(name, .neutral), values: values)])
        chart.caption =
            "1 where all pods answered equally often, 1/n where one of n did alone; nothing where "
            + "nobody did."
        chart.references = [.init("even", value: 1)]
        return chart
    }

    private var connections: StackedSeriesChart {
        let seconds = report.series
        var chart = StackedSeriesChart(
            title: "Connections", span: span, unit: "open connections",
            series: [
                .init(
                    Category("request in flight", .series(0)),
                    values: seconds.map { Double(min($0.inFlight, $0.open)) }),
                .init(
                    Category("pausing", .series(2)),
                    values: seconds.map { Double(max(0, $0.open - $0.inFlight)) }),
            ])
        chart.caption = "At the end of each second."
        chart.references = [.init("to be held", value: Double(report.connections))]
        return chart
    }

    private var distribution: DistributionChart {
        DistributionChart(
            title: "Distribution of latency", quantity: "time", population: "cases",
            curves: [
                .init(Category("request to answer", .series(0)), report.latencies),
                .init(Category("connecting", .series(1)), report.connectTimes),
            ])
    }

    // MARK: - Tables

    private static let podLimit = 200

    private var pods: Table {
        let total = report.pods.reduce(0) { $0 + $1.count }
        let recent = report.pods.reduce(0) { $0 + $1.recent }
        let sorted = report.pods.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
        var rows = sorted.prefix(Self.podLimit).map { pod -> [Table.Cell] in
            [
                .init(pod.name), .count(pod.count), share(pod.count, of: total),
                report.answered > 0 ? .percent(pod.fair) : .init(FigureText.nothing),
                pod.isGone ? .init("gone") : share(pod.recent, of: recent),
                .count(pod.connections),
            ]
        }
        let rest = sorted.dropFirst(Self.podLimit)
        if !rest.isEmpty {
            let counts = rest.reduce(into: (0, 0, 0)) {
                $0 = ($0.0 + $1.count, $0.1 + $1.recent, $0.2 + $1.connections)
            }
            rows.append([
                .init("\(rest.count) more"), .count(counts.0), share(counts.0, of: total),
                .percent(rest.reduce(0) { $0 + $1.fair }), share(counts.1, of: recent),
                .count(counts.2),
            ])
        }
        return Table(
            columns: [
                .text("pod"), .number("answers"), .number("share"), .number("fair share"),
                .number("share", unit: "last \(HoldReport.recentSeconds) s"),
                .number("connections", unit: "at the end"),
            ], rows: rows, emptyText: "No request was answered.")
    }

    private func share(_ count: Int, of total: Int) -> Table.Cell {
        total > 0 ? .percent(Double(count) / Double(total)) : .init(FigureText.nothing)
    }

    private static let spellLimit = 100

    private var spells: Table {
        let all = report.spells
        return Table(
            caption: all.count > Self.spellLimit
                ? "The first \(Self.spellLimit) of \(FigureText.count(all.count))"
                : "Less than half of it, judged over \(HoldReport.recentSeconds) s; ± 1 s",
            columns: [.text("pod"), .number("from"), .number("to"), .number("for")],
            rows: all.prefix(Self.spellLimit).map { spell in
                [
                    .init(spell.pod), seconds(spell.from),
                    spell.until.map { spell.isGone ? .init("its own end") : seconds($0) }
                        ?? "the end",
                    spell.until.map { seconds($0 - spell.from) } ?? .init(FigureText.nothing),
                ]
            }, emptyText: "No pod fell below half of its fair share.")
    }

    /// Whole ones: more is not known.
    private func seconds(_ time: Duration) -> Table.Cell {
        let seconds = Int(time / .seconds(1))
        return .init("\(FigureText.count(seconds)) s", value: "\(seconds)")
    }

    private var failures: Table {
        Table(
            columns: [.text("kind"), .number("count"), .text("the first")],
            rows: report.failures.map {
                [
                    .init($0.kind.rawValue + ($0.kind.isLocal ? " (here)" : "")),
                    .count($0.count, tone: $0.kind.isLocal ? .plain : .bad), .init($0.example),
                ]
            }, emptyText: "Nothing failed.")
    }

    private var notes: [String] {
        [
            "A fair share is an even part of the answers of each second in which a pod was alive: "
                + "answered, held a connection, or was promised with --pods.",
            "Own delay is how late this process came to do what was due, at every moment of the "
                + "run: an answer may have waited as long before it was read.",
        ]
            + (report.seriesGrain > 1
                ? ["\(report.seriesGrain) seconds are one column: the run was long."] : []) + [
                "\(FigureText.count(report.answered)) of \(FigureText.count(report.sent)) requests "
                    + "were answered, \(FigureText.count(report.lost)) lost with their connection, "
                    + "\(FigureText.count(report.inFlight)) unanswered at the end; at most "
                    + "\(FigureText.count(report.peakInFlight)) were in flight at once."
            ]
    }
}
