import JSONCodec
import Pacing
import Telemetry
import Testing

@testable import Result

@Suite struct FormTests {
    @Test func theTableOfOneResult() {
        let text = ResultText([("a.json", Sample.result(7))]).text
        #expect(
            text == """
                sample: what tests measure
                pod-7, 2026-11-24T09:00:00Z, 10s, sonde 0.0.0

                sent                       100
                answered                    50
                rate                 10.000 /s
                loss                   200.0 %
                delay                 7.500 ms  7.000 ms … 7.500 ms
                first     2026-11-24T09:00:07Z
                target             10.0.0.1:80
                mode                      open
                own                        yes
                not known: peak

                misses
                kind       count   share
                closed         3  75.0 %
                refused 7      1  25.0 %

                latency
                count          100
                min       0.100 ms
                p50       4.997 ms
                p90       9.011 ms
                p99       9.929 ms
                p999     10.000 ms
                max      10.000 ms
                mean      5.050 ms

                """)
    }

    @Test func sideBySideTheSecondIsAMultipleOfTheFirst() {
        var after = Sample.result(2, sent: 150)
        after.notes = ["late"]
        let text = ResultText([("before", Sample.result(1)), ("after", after)]).text
        let lines = text.split(separator: "\n").map {
            $0.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
        }
        #expect(lines.contains("before: pod-1, 2026-11-24T09:00:00Z, 10s, sonde 0.0.0"))
        #expect(lines.contains("before after ratio"))
        #expect(lines.contains("sent 100 150 × 1.50"))
        #expect(lines.contains("delay 1.500 ms 2.500 ms × 1.67"))
        #expect(lines.contains("target 10.0.0.1:80 10.0.0.1:80 –"))
        #expect(lines.contains("refused 2 unknown 1 –"))
        #expect(lines.contains("after: note: late"))
    }

    @Test func aSpreadsheetGetsEveryFigureWithItsBounds() {
        var result = Sample.result(7)
        result[Sample.mode] = .text("with \"quotes\", and a comma")
        let lines = String(decoding: result.csv, as: UTF8.self).split(
            separator: "\n", omittingEmptySubsequences: false)
        #expect(lines[0] == "section,row,key,value,least,most,unit")
        #expect(lines.contains("figures,,delayms,7.5,7,7.5,ms"))
        #expect(lines.contains("figures,,peak,,,,B"))
        #expect(lines.contains("figures,,mode,\"with \"\"quotes\"\", and a comma\",,,text"))
        #expect(lines.contains("misses,refused 7,count,1,,,"))
        #expect(lines.contains("latency,,maxms,10,,,ms"))
        #expect(lines.last == "")
    }

    @Test func prometheusGetsBaseUnits() {
        let text = String(decoding: Sample.result(7).prometheus, as: UTF8.self)
        #expect(
            text == """
                # HELP sample_sent_total Requests sent.
                # TYPE sample_sent_total counter
                sample_sent_total 100
                # HELP sample_delay_seconds From the change to its effect.
                # TYPE sample_delay_seconds gauge
                sample_delay_seconds 0.0075
                # HELP sample_misses_total How many.
                # TYPE sample_misses_total counter
                sample_misses_total{kind="closed"} 3
                sample_misses_total{kind="refused 7"} 1

                """)
    }

    @Test func percentilesForPlottersRiseToTheLargest() {
        let text = String(
            decoding: Sample.result(7).hdrPercentiles(Sample.latency), as: UTF8.self)
        let lines = text.split(separator: "\n")
        #expect(lines[0].split(separator: " ").first == "Value")
        let rows = lines.dropFirst().filter { !$0.hasPrefix("#") }.map {
            $0.split(separator: " ").compactMap { Double($0) }
        }
        #expect(rows.first == [0.1, 0, 1, 1])
        #expect(rows.last == [10, 1, 100])
        for (one, next) in zip(rows, rows.dropFirst()) {
            #expect(one[0] <= next[0] && one[1] < next[1] && one[2] <= next[2])
        }
        #expect(lines.last == "#[Max     =       10.000, Unit = ms]")
    }

    @Test func numbersForPeople() {
        #expect(DecimalText.grouped(0) == "0")
        #expect(DecimalText.grouped(-1_234_567) == "-1,234,567")
        #expect(DecimalText.grouped(.min) == "-9,223,372,036,854,775,808")
        #expect(DecimalText.fixed(1234.5678, places: 3) == "1,234.568")
        #expect(DecimalText.fixed(0.0004, places: 3) == "0.000")
        #expect(DecimalText.fixed(-0.0004, places: 3) == "0.000")
        #expect(DecimalText.fixed(.infinity, places: 3) == "inf")
        #expect(DecimalText.fixed(1234.5, places: 2, grouped: false) == "1234.50")
    }

    // MARK: - Thresholds

    @Test(arguments: [
        ("sent > 99", Threshold.Verdict.broken), ("sent>100", .kept), ("sent >= 100", .broken),
        ("sent < 100", .kept), ("sent <= 100", .broken), ("sent == 100", .broken),
        ("sent != 100", .kept),
        ("latency.p99 > 9ms", .broken), ("latency.p99ms > 9000us", .broken),
        ("latency.max > 0.01s", .kept), ("latency.count < 101", .broken),
        ("delayms > 8ms", .kept), ("delayms > 6ms", .broken), ("delayms > 7.2ms", .undecided),
        ("delayms == 7.2ms", .undecided), ("delayms != 7.2ms", .undecided),
        ("delayms == 8ms", .kept), ("latency.p99 > 9.93ms", .undecided),
        ("latency.max > 9.99ms", .broken),
        ("peak > 1MB", .unknown), ("loss > 150%", .broken), ("loss > 2.5", .kept),
        ("misses[closed].count >= 3", .broken), ("misses[refused 7].count > 1", .kept),
        ("misses[never < seen].count > 0", .unknown), ("misses[never].share > 0", .unknown),
    ])
    func thresholdsAreJudged(text: String, verdict: Threshold.Verdict) throws {
        let threshold = try Threshold(parsing: text)
        #expect(threshold.complaint(about: Sample.kind) == nil)
        #expect(threshold.check(Sample.result(7)) == verdict)
    }

    @Test func whereABoundIsNotKnownTheTruthMayLieAnywhere() throws {
        var result = Sample.result(7)
        result[Sample.delay] = Measure(.number(7.5), least: nil, most: .number(7.5))
        func verdict(_ text: String) throws -> Threshold.Verdict {
            try Threshold(parsing: text).check(result)
        }
        #expect(try verdict("delayms > 8ms") == .kept)
        #expect(try verdict("delayms > 6ms") == .undecided)
        #expect(try verdict("delayms < 6ms") == .undecided)
    }

    @Test(arguments: [
        ("sent", "expected a figure's key, a comparison and a number"),
        ("> 5", "expected a figure's key"), ("sent > many", "expected a number"),
        ("sent = 5", "expected one of"), ("", "expected a figure's key"),
    ])
    func whatIsNoThresholdIsRefused(text: String, reason: String) {
        let error = #expect(throws: FormatError.self) { try Threshold(parsing: text) }
        #expect(error?.description.contains(reason) == true)
    }

    @Test(arguments: [
        ("sends > 5", "sample has no figure 'sends'; it has sent, answered"),
        ("delayms > 5", "'' is no unit of 'delayms': expected a length of time such as 200ms"),
        ("sent > 5ms", "'ms' is no unit of 'sent': expected a plain number"),
        ("latency.p98 > 5ms", "no figure 'latency.p98'"),
        ("misses[closed].size > 5", "no figure 'misses[closed].size'"),
        ("target > 5", "expected a plain number"),
    ])
    func whatAKindDoesNotHaveIsSaidBeforehand(text: String, reason: String) throws {
        let complaint = try Threshold(parsing: text).complaint(about: Sample.kind)
        #expect(complaint?.contains(reason) == true, "\(complaint ?? "none")")
    }

    @Test func verdictsAreLines() throws {
        let result = Sample.result(7)
        func line(_ text: String) throws -> String { try Threshold(parsing: text).line(result) }
        #expect(try line("sent > 5") == "BROKEN     sent > 5 (100)")
        #expect(try line("latency.p99 > 1s") == "kept       latency.p99 > 1s (9.929 ms)")
        #expect(try line("peak > 5") == "unknown    peak > 5")
        #expect(
            try line("delayms > 7.2ms")
                == "undecided  delayms > 7.2ms (7.500 ms, but its bounds lie on both sides)")
    }
}
