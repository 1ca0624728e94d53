import NetworkPolicy
import Pacing
import Report
import Telemetry

/// A demo run as a page: what was reported, what was true, and the bounds of every result.
struct NetworkPolicyDemoPage {
    var report: DemoReport
    var began: WallClock

    var page: Page {
        var page = Page(
            title: "Network-policy latency: what the instrument reports, and what was true",
            subtitle: "\(FigureText.count(report.outcomes.count)) policies and "
                + "\(FigureText.count(report.clients)) clients on this machine; every target opens "
                + "at a known moment")
        page.figures = figures
        page.sections = [
            Section(
                "Every result with its bounds",
                [
                    .text(
                        "A result says when a target answered first, and before which moment it "
                            + "was certainly closed. The target opened between the two: every "
                            + "stroke must cross the line at zero."),
                    .intervals(bounds),
                ]),
            Section("How the figures are spread", [.distribution(distribution), .table(summary)]),
        ]
        if !report.isGood { page.sections.insert(Section("Wrong", [.table(wrong)]), at: 0) }
        page.footer = Footer(began: began, notes: notes)
        return page
    }

    private var figures: [HeadlineFigure] {
        let latency = Samples(report.outcomes.compactMap(\.latency))
        let widest = Samples(report.outcomes.compactMap(\.uncertainty))
        return [
            HeadlineFigure(
                "detected", FigureText.count(report.detected),
                detail: "of \(FigureText.count(report.outcomes.count)) policies in "
                    + FigureText.duration(report.elapsed),
                tone: report.detected == report.outcomes.count ? .good : .bad),
            HeadlineFigure(
                "wrong bounds", FigureText.count(report.unsound),
                detail: "results whose bounds miss the truth",
                tone: report.unsound == 0 ? .good : .bad),
            HeadlineFigure(
                "latency, p50", FigureText.duration(latency.percentile(50)),
                detail: "p99 \(FigureText.duration(latency.percentile(99)))"),
            HeadlineFigure(
                "uncertainty, p50", FigureText.duration(widest.percentile(50)),
                detail: "largest \(FigureText.duration(widest.maximum))"),
        ]
    }

    private var bounds: IntervalChart {
        let start = report.outcomes.map(\.created).min() ?? began
        let end = report.outcomes.map(\.created).max() ?? began
        var chart = IntervalChart(
            title: "Bounds of each result against the true opening",
            quantity: "time from the true opening", upperName: "first answer",
            intervalName: "admitted by the result", zeroName: "true opening",
            span: .zero...max(.seconds(1), end - start),
            intervals: report.outcomes.compactMap { outcome in
                guard let error = outcome.error else { return nil }
                return IntervalChart.Interval(
                    moment: outcome.created - start,
                    lower: outcome.notBefore.map { $0 - outcome.opening.upperBound },
                    upper: error)
            })
        chart.caption = "By the time at which the policy was created."
        return chart
    }

    private var distribution: DistributionChart {
        let tints: [Tint] = [.series(0), .series(2), .series(1), .series(4)]
        var chart = DistributionChart(
            title: "Latency, error and uncertainty", quantity: "time", population: "policies",
            curves: zip(report.rows, tints).map {
                DistributionChart.Curve(Category($0.name, $1), $0.samples)
            })
        chart.caption = "Uncertainty is what each result says that its error may be at most."
        return chart
    }

    private var summary: Table {
        Table(
            columns: [.text("figure")] + ["p50", "p90", "p99", "max"].map { .number($0) }
                + [.text("from → to")],
            rows: report.rows.map { row in
                [.init(row.name)]
                    + [50.0, 90, 99, 100].map { .duration(row.samples.percentile($0)) }
                    + [.init(row.meaning)]
            })
    }

    /// At most 50 of them: when more are wrong, more rows say no more.
    private var wrong: Table {
        let all = report.outcomes.filter { $0.timestamp == nil || $0.isBracketed == false }
        return Table(
            caption: all.count > 50
                ? "The first 50 of \(FigureText.count(all.count))"
                : "Not detected, or with bounds that do not hold the truth",
            columns: [
                .text("policy"), .text("target"), .text("client"), .number("probes"),
                .number("latency"), .number("true latency"), .number("uncertainty"),
            ],
            rows: all.prefix(50).map { outcome in
                [
                    .init(outcome.policy), .init(outcome.address), .init(outcome.client),
                    .count(outcome.attempts), .duration(outcome.latency),
                    .duration(outcome.trueLatency), .duration(outcome.uncertainty),
                ]
            })
    }

    private var notes: [String] {
        var notes: [String] = []
        if report.isInterrupted { notes.append("Interrupted: no further policies were created.") }
        if let interval = report.idleInterval {
            notes.append(
                "Each client idled at one probe every \(GoDuration(interval)) until its first "
                    + "success, so its first result is the least certain; --no-gate starts at full "
                    + "pace.")
        }
        return notes
    }
}
