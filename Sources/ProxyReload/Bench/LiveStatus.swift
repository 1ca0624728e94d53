import Telemetry

/// The status of a bench under way, for a terminal.
enum LiveStatus {
    private static let barWidth = 30
    private static let instanceLimit = 8
    private static let eventLimit = 4
    private static let width = 78

    /// Lines of at most 78 columns.
    static func lines(_ timeline: ReloadTimeline, elapsed: Int64, busy: Int) -> [String] {
        let total = timeline.total
        let recent = recentBins(timeline.bins)
        var lines = [
            "\(BenchText.right(BenchText.seconds(elapsed), 10))   \(total.requests) requests, "
                + "\(recent.rate)/s, \(busy) under way",
            "latency      \(BenchReport.quantiles(total.latency))",
            "failures     \(BenchText.failures(total))",
        ]
        lines += instanceLines(timeline, recent.bins)
        for event in timeline.events.suffix(eventLimit) {
            let what = event.isMark ? "mark" : BenchText.printable(event.command)
            let result = event.isMark ? "" : event.result.isEmpty ? " …" : " → \(event.result)"
            lines.append(
                "\(BenchText.right(BenchText.seconds(event.startNanoseconds), 10))   "
                    + BenchText.left(what, 44).trimmed + result)
        }
        return lines.map { $0.count > width ? BenchText.left($0, width) : $0 }
    }

    /// The complete bins of the last second, and the requests a second in them.
    private static func recentBins(_ bins: TimelineBins) -> (bins: Range<Int>, rate: Int) {
        let count = max(1, Int(1_000_000_000 / bins.widthNanoseconds))
        let last = max(bins.bins.count - 1, 0)
        let range = max(0, last - count)..<last
        let requests = bins.bins[range].reduce(0) { $0 + $1.requests }
        let seconds = Double(range.count) * Double(bins.widthNanoseconds) / 1e9
        return (range, seconds > 0 ? Int((Double(requests) / seconds).rounded()) : 0)
    }

    /// Who answers now: a bar for each instance's share of the last second.
    private static func instanceLines(_ timeline: ReloadTimeline, _ bins: Range<Int>) -> [String] {
        let numbers = timeline.total.instances.indices
            .filter { timeline.total.instances[$0].answers > 0 }.map { UInt16($0) }
        let now = numbers.map { number in
            bins.reduce(0) { $0 + timeline.bins.requests(bin: $1, instance: number) }
        }
        let all = max(now.reduce(0, +), 1)
        var lines = zip(numbers, now).prefix(instanceLimit).map { number, count in
            let filled = (count * barWidth + all / 2) / all
            let bar =
                String(repeating: "#", count: filled)
                + String(repeating: ".", count: barWidth - filled)
            let name = BenchText.left(BenchText.printable(timeline.instances.name(number)), 12)
            return "\(name) \(bar) \(count * 100 / all) %"
        }
        if numbers.count > instanceLimit {
            lines.append("             and \(numbers.count - instanceLimit) more instances")
        }
        return lines
    }
}

extension String {
    /// Without the spaces at its end.
    fileprivate var trimmed: String {
        String(self[..<(lastIndex { $0 != " " }.map { index(after: $0) } ?? startIndex)])
    }
}
