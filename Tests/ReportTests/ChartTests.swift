import Telemetry
import Testing

@testable import Report

@Suite struct ChartTests {
    private let span = Duration.zero ... .seconds(4)

    private func path(_ page: String, _ style: String) -> String {
        let parts = page.components(separatedBy: "class=\"\(style)\" d=\"")
        return parts.count > 1 ? String(parts[1].prefix { $0 != "\"" }) : ""
    }

    @Test("parts are stacked in steps: each begins where the one below it ends")
    func stacked() {
        let chart = StackedSeriesChart(
            title: "T", span: span, unit: "requests/s",
            series: [
                .init(Category("a", .series(0)), values: [2, 2, 4, 4]),
                .init(Category("b", .series(1)), values: [4, 2, 0, 0], total: 6),
            ])
        let page = text(.stacked(chart))
        // The axis goes to 6: a third of 200 pixels is two requests/s.
        #expect(
            path(page, "fill s0") == "M0 133.33H500V66.67H1000V200H0Z")
        #expect(
            path(page, "fill s1")
                == "M0 0H250V66.67H1000V66.67H500V133.33H0Z")
        #expect(page.contains("data-value=\"6\">6</td>"))
    }

    @Test("a series finer than the picture keeps its mean")
    func merged() {
        let values = (0..<2000).map { Double($0 % 4) }
        var chart = StackedSeriesChart(
            title: "T", span: span, unit: "1/s",
            series: [.init(Category("a", .series(0)), values: values)])
        chart.references = [.init("limit", value: 3)]
        let page = text(.stacked(chart))
        #expect(path(page, "fill s0") == "M0 100H1000V200H0Z")  // 1.5 of 3
        #expect(page.contains("<td class=\"number\">1.50</td><td class=\"number\">3.00</td>"))
    }

    @Test("shares fill the height, and a column in which nothing happened is empty")
    func shares() {
        var chart = StackedSeriesChart(
            title: "T", span: span, unit: "requests",
            series: [
                .init(Category("a", .series(0)), values: [1, 0, 10]),
                .init(Category("b", .series(1)), values: [3, 0, 30]),
            ])
        chart.isShare = true
        chart.references = [.init("fair share", value: 0.5)]
        let page = text(.stacked(chart))
        #expect(path(page, "fill s0") == "M0 150H333.33V200H666.67V150H1000V200H0Z")
        #expect(page.contains("<line class=\"reference\" x1=\"0\" x2=\"100%\" y1=\"100\""))
        #expect(
            page.contains("<text x=\"0\" dx=\"-8\" y=\"104\">50</text>")
                || page.contains(">40</text>"))
    }

    @Test("more parts than colours: the largest keep theirs, the rest is one; the table has all")
    func folded() {
        let chart = StackedSeriesChart(
            title: "T", span: span, unit: "1/s",
            series: (0..<20).map {
                .init(Category("pod-\($0)", .series($0)), values: [Double($0)])
            })
        let page = text(.stacked(chart))
        #expect(page.count(of: "class=\"fill ") == Tint.seriesCount)
        #expect(page.contains("</i>15 others</li>"))
        #expect(page.contains("</i>pod-19</li>") && !page.contains("</i>pod-14</li>"))
        #expect(page.contains("<th scope=\"row\" class=\"words\">pod-0</th>"))
    }

    private func point(_ median: Int, _ p99: Int, _ maximum: Int) -> LatencyChart.Point {
        .init(
            median: .microseconds(median), p99: .microseconds(p99),
            maximum: .microseconds(maximum))
    }

    @Test("latency has a gap where nothing was measured, marked as such")
    func gaps() {
        let all = point(1000, 2000, 3000)
        let points: [LatencyChart.Point?] = [all, all, nil, nil, all, nil, all, all]
        let page = text(.latency(LatencyChart(title: "T", span: span, points: points)))
        #expect(path(page, "stroke ink").count { $0 == "M" } == 3)
        #expect(path(page, "dots soft").count { $0 == "M" } == 5)
        #expect(page.count(of: "class=\"gap\"") == 2)
        #expect(page.contains("class=\"gap\" x=\"250\" height=\"220\" width=\"250\""))
        #expect(page.contains("</i>nothing measured</li>"))
        let full = text(.latency(LatencyChart(title: "T", span: span, points: [all])))
        #expect(!full.contains("nothing measured"))
    }

    @Test("latency is logarithmic from a factor of twenty on")
    func logarithmic() {
        let flat = LatencyChart(title: "T", span: span, points: [point(1000, 2000, 19_000)])
        #expect(!text(.latency(flat)).contains("latency, logarithmic"))
        let steep = LatencyChart(title: "T", span: span, points: [point(1000, 2000, 21_000)])
        #expect(text(.latency(steep)).contains("latency, logarithmic"))
    }

    @Test("a point comes from a histogram, none from an empty one")
    func points() {
        var histogram = LatencyHistogram()
        #expect(LatencyChart.Point(histogram) == nil)
        for value in 1...200 { histogram.record(nanoseconds: Int64(value)) }
        #expect(
            LatencyChart.Point(histogram)
                == .init(
                    median: .nanoseconds(100), p99: .nanoseconds(198), maximum: .nanoseconds(200)))
    }

    @Test("a distribution rises from left to right and ends at the largest value")
    func distribution() throws {
        var histogram = LatencyHistogram()
        for value in 1...100_000 { histogram.record(nanoseconds: Int64(value) * 1000) }
        let samples = Samples((1...200).map { Duration.milliseconds($0) })
        let chart = DistributionChart(
            title: "T", quantity: "latency", population: "requests",
            curves: [
                .init(Category("many", .series(0)), histogram),
                .init(Category("few", .series(1)), samples),
            ])
        for curve in chart.curves {
            #expect(curve.places.count <= 260)
            #expect(curve.places.last?.value == curve.percentiles.last)
            for (a, b) in zip(curve.places, curve.places.dropFirst()) {
                #expect(a.share < b.share && a.value <= b.value)
            }
        }
        let page = text(.distribution(chart))
        #expect(page.contains("data-value=\"100000\">100,000</td>"))
        #expect(page.contains("data-value=\"0.2\">200\u{A0}ms</td>"))
        #expect(page.contains(">99.999</text>"))
    }

    @Test("every result is a stroke from bound to bound; one without a lower bound is a dot")
    func intervals() {
        var chart = IntervalChart(
            title: "T", quantity: "time", upperName: "answer", intervalName: "bounds",
            zeroName: "truth", span: span,
            intervals: (0..<4).map {
                .init(
                    moment: .seconds($0), lower: $0 == 2 ? nil : .milliseconds(-90),
                    upper: .milliseconds(10))
            })
        let page = text(.intervals(chart))
        // From −100 ms to 20 ms in steps of 20: ten milliseconds are 20 of 240 pixels.
        #expect(path(page, "stroke interval s2") == "M0 20V220M250 20V220M750 20V220")
        #expect(path(page, "dots s0").count { $0 == "M" } == 4)
        #expect(page.contains("class=\"reference\" x1=\"0\" x2=\"100%\" y1=\"40\""))
        chart.intervals = Array(repeating: chart.intervals[0], count: 10_000)
        let crowd = text(.intervals(chart))
        #expect(path(crowd, "dots s0").count { $0 == "M" } == 500)
        #expect(crowd.contains("1 in 20 of 10,000 is drawn."))
        #expect(crowd.contains("10,000 results, 10,000 with a lower bound"))
    }

    @Test("no chart traps on values that cannot be drawn")
    func extremes() {
        let values = [Double.nan, .infinity, -.infinity, -5, 1e300]
        var chart = StackedSeriesChart(
            title: "T", span: .seconds(-5) ... .seconds(-5), unit: "1/s",
            series: [.init(Category("a", .series(-1)), values: values)])
        expectWellFormed(text(.stacked(chart)))
        chart.isShare = true
        expectWellFormed(text(.stacked(chart)))
        let widest = Duration(secondsComponent: .max, attosecondsComponent: 0)
        let least = Duration(secondsComponent: .min, attosecondsComponent: 0)
        let latency = LatencyChart(
            title: "T", span: least...widest,
            points: [.init(median: least, p99: .zero, maximum: widest)])
        expectWellFormed(text(.latency(latency)))
        var lanes = LaneChart(
            title: "T", span: least...widest, categories: [Category("a", .series(0))],
            markKinds: [.init("failure", .failure)],
            lanes: [
                .init(
                    "1", segments: [.init(start: least, end: widest, category: 0)],
                    marks: [.init([least, widest])])
            ])
        lanes.events = [EventMark("e", start: widest, end: least), EventMark("f", start: least)]
        expectWellFormed(text(.lanes(lanes)))
        let intervals = IntervalChart(
            title: "T", quantity: "q", upperName: "u", intervalName: "i", span: least...widest,
            intervals: [.init(moment: widest, lower: least, upper: widest)])
        expectWellFormed(text(.intervals(intervals)))
    }
}
