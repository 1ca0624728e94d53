import Pacing
import Telemetry

/// What a client has found so far, for people and for programs.
public struct HoldReport: Sendable {
    /// One pod and what it answered.
    public struct Pod: Sendable {
        /// As it calls itself.
        public var name: String
        /// Answers in all.
        public var count: Int
        /// Answers in the last ``HoldReport/recentSeconds``.
        public var recent: Int
        /// Open connections on which it answered last.
        public var connections: Int
    }

    /// The URL that was asked for.
    public let target: String
    /// How many were to be held.
    public let connections: Int
    let hold: HoldMachine
    /// From the start until now, or the end.
    public let elapsed: Duration
    /// In the order in which they first answered.
    public let pods: [Pod]
    let distribution: Distribution
    /// From each request to its answer.
    public let latencies: LatencyHistogram
    /// Of each connection that was opened.
    public let connectTimes: LatencyHistogram
    /// Those that occurred; `example` is how the system put the first, or empty.
    public let failures: [(kind: FailureKind, count: Int, example: String)]
    let seed: UInt64

    init(_ client: HoldClient) {
        target = client.configuration.target.description
        connections = client.configuration.connections
        hold = client.hold
        distribution = client.distribution
        elapsed = client.now - distribution.start
        latencies = client.latencies
        connectTimes = client.connectTimes
        seed = client.configuration.seed
        var held = [Int](repeating: 0, count: client.podNames.count)
        for pod in client.lastPods where pod >= 0 { held[Int(pod)] += 1 }
        let recent = client.distribution.fairShare.sums
        pods = distribution.counts.enumerated().map { pod, count in
            Pod(
                name: client.podNames[pod], count: count,
                recent: pod < recent.count ? recent[pod] : 0, connections: held[pod])
        }
        failures = FailureKind.allCases.compactMap { kind in
            let count = client.failures[kind.index]
            return count == 0 ? nil : (kind, count, client.examples[kind.index] ?? "")
        }
    }

    /// Of the answers in all; nil without answers.
    public var jainIndex: Double? { Evenness.jainIndex(pods.lazy.map { Double($0.count) }) }
    /// The largest count over the mean; nil without answers.
    public var imbalance: Double? { Evenness.imbalance(pods.lazy.map { Double($0.count) }) }

    static let percentiles: [(name: StaticString, percent: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100),
    ]

    // MARK: - For people

    /// The table of the pods and the lines under it.
    ///
    /// - Parameter rows: how many pods at most; the rest is summed up.
    public func text(rows: Int = .max) -> String {
        var text = table(rows: rows)
        if let jainIndex, let imbalance {
            text += "\nimbalance \(decimal(imbalance, 3)) (max/mean), Jain's index "
            text += "\(decimal(jainIndex, 4)) over \(pods.count) pod\(pods.count == 1 ? "" : "s")"
            if let recent = Evenness.jainIndex(pods.lazy.map { Double($0.recent) }), pods.count > 1
            {
                text += "; \(decimal(recent, 4)) in the last \(FairShare.span) s"
            }
            text += "\n"
        }
        text += "\(hold.open) of \(connections) connections open, \(hold.inFlight) requests in "
        text += "flight (peak \(hold.peakInFlight))"
        if let moment = hold.allOpenAt, let start = hold.startedAt {
            text += "; all open after \(seconds(moment - start))"
        }
        text += "\n\(hold.sent) requests in \(seconds(elapsed)): \(hold.answered) answered, "
        text += "\(hold.lost) lost, \(hold.inFlight) unanswered; \(hold.reconnects) reconnects\n"
        if latencies.count > 0 { text += line("latency", latencies) }
        if connectTimes.count > 0 { text += line("connect", connectTimes) }
        for (kind, count, example) in failures {
            text += "failed \(kind.rawValue) \(count)"
            text += example.isEmpty ? "\n" : " (first: \(example))\n"
        }
        for spell in distribution.fairShare.spells {
            text += "\(pods[spell.pod].name) had less than half of its fair share from "
            text += "\(seconds(spell.from, 0)) "
            if let until = spell.until {
                text += "to \(seconds(until, 0)) (± 1 s, judged over \(FairShare.span) s)\n"
            } else {
                text += "to the end\n"
            }
        }
        return text
    }

    private func table(rows: Int) -> String {
        var text = "  counts  server-name" + String(repeating: " ", count: width - 11)
        text += "    share   last \(FairShare.span) s  connections\n"
        let sorted = pods.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
        for pod in sorted.prefix(rows) {
            text += padded("\(pod.count)", 8) + "  " + pod.name
            text += String(repeating: " ", count: max(width - pod.name.count, 0))
            text += share(pod.count, of: distribution.total, width: 7)
            text += share(pod.recent, of: recentTotal, width: 9)
            text += padded("\(pod.connections)", 13) + "\n"
        }
        let rest = sorted.dropFirst(rows)
        if !rest.isEmpty {
            let count = rest.reduce(0) { $0 + $1.count }
            text += padded("\(count)", 8) + "  (\(rest.count) more)\n"
        }
        return text
    }

    /// Answers in the last seconds.
    private var recentTotal: Int { pods.reduce(0) { $0 + $1.recent } }

    private func share(_ count: Int, of total: Int, width: Int) -> String {
        if total == 0 { return padded("–", width) + "  " }
        return padded(decimal(100 * Double(count) / Double(total), 1), width) + " %"
    }

    private var width: Int { max(11, pods.map(\.name.count).max() ?? 0) }

    private func line(_ name: String, _ histogram: LatencyHistogram) -> String {
        var text = name
        for (name, percent) in HoldReport.percentiles {
            text += "  \(name) \(histogram.percentile(percent).map(time) ?? "–")"
        }
        return text + "\n"
    }

    /// With four digits that matter, more or less.
    private func time(_ duration: Duration) -> String {
        duration < .seconds(1) ? decimal(duration.inMilliseconds, 3) + " ms" : seconds(duration)
    }

    private func seconds(_ duration: Duration, _ places: Int = 3) -> String {
        decimal(duration.inSeconds, places) + " s"
    }

    private func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 0)) + text
    }
}

/// `value` with `places` decimals, rounded.
func decimal(_ value: Double, _ places: Int) -> String {
    guard value.isFinite, value.magnitude < 1e15 else { return "\(value)" }
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int((value.magnitude * Double(scale)).rounded())
    let fraction = String(scaled % scale)
    let sign = value < 0 && scaled > 0 ? "-" : ""
    if places == 0 { return sign + "\(scaled)" }
    let zeros = String(repeating: "0", count: places - fraction.count)
    return sign + "\(scaled / scale).\(zeros)\(fraction)"
}
