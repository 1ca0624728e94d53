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
        /// The share of all answers, 0 to 1, that would have been even for the time it was there.
        public var fair: Double
        /// Answers in the last ``HoldReport/recentSeconds``.
        public var recent: Int
        /// As ``fair``, of the last ``HoldReport/recentSeconds``.
        public var recentFair: Double
        /// Open connections on which it answered last.
        public var connections: Int
        /// Whether it has neither answered in the last ``HoldReport/recentSeconds`` nor holds a
        /// connection: it is of no account any more.
        public var isGone: Bool
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
    /// How late this process came to do what was due, at every moment of the run: news from the
    /// network may have waited as long.
    public let delays: LatencyHistogram
    /// Those that occurred; `example` is how the system put the first, or empty.
    public let failures: [(kind: FailureKind, count: Int, example: String)]
    let seed: UInt64

    /// - Parameter distribution: in place of the client's own.
    init(_ client: HoldClient, distribution: Distribution? = nil) {
        target = client.configuration.target.description
        connections = client.configuration.connections
        hold = client.hold
        self.distribution = distribution ?? client.distribution
        elapsed = client.now - client.distribution.start
        latencies = client.latencies
        connectTimes = client.connectTimes
        delays = client.delays
        seed = client.configuration.seed
        pods = HoldReport.pods(self.distribution, client.podNames, client.held)
        failures = FailureKind.allCases.compactMap { kind in
            let count = client.failures[kind.index]
            return count == 0 ? nil : (kind, count, client.examples[kind.index] ?? "")
        }
    }

    private static func pods(
        _ distribution: Distribution, _ names: [String], _ held: [Int]
    ) -> [Pod] {
        let (fair, lives) = (distribution.fair, distribution.lives)
        let recent = distribution.fairShare.sums
        let recentFair = Distribution.fractions(
            distribution.fairShare.fair, of: recent.reduce(0, +))
        return distribution.counts.enumerated().map { pod, count in
            Pod(
                name: names[pod], count: count, fair: fair[pod],
                recent: pod < recent.count ? recent[pod] : 0,
                recentFair: pod < recentFair.count ? recentFair[pod] : 0,
                connections: pod < held.count ? held[pod] : 0, isGone: !lives[pod])
        }
    }

    /// Of the answers in all, each pod against an even share of the time it was there; nil without
    /// answers.
    public var jainIndex: Double? {
        Evenness.jainIndex(pods.map { (Double($0.count), $0.fair) })
    }
    /// As ``jainIndex``, of the last ``recentSeconds``.
    public var recentJainIndex: Double? {
        Evenness.jainIndex(pods.map { (Double($0.recent), $0.recentFair) })
    }
    /// The largest count over its pod's even share; nil without answers.
    public var imbalance: Double? {
        Evenness.imbalance(pods.map { (Double($0.count), $0.fair) })
    }
    /// Pods that share now: those that are alive, and so many more as were promised.
    public var sharing: Int { max(distribution.promised, pods.count { !$0.isGone }) }

    /// Whether the process's own lateness is a tenth or more of the latencies' 99th percentile.
    public var isDelayedByItself: Bool { delays.explainsTail(of: latencies) }

    static let percentiles: [(name: StaticString, percent: Double)] = [
        ("p50", 50), ("p90", 90), ("p99", 99), ("max", 100),
    ]

    // MARK: - For people

    /// An index as people read it.
    public static func figure(_ index: Double) -> String { decimal(index, 4) }

    /// The table of the pods and the lines under it.
    ///
    /// - Parameter rows: how many pods at most; the rest is summed up.
    public func text(rows: Int = .max) -> String {
        var text = table(rows: rows) + evenness
        text += "\(hold.open) of \(connections) connections open, \(hold.inFlight) requests in "
        text += "flight (peak \(hold.peakInFlight))"
        if let moment = hold.allOpenAt, let start = hold.startedAt {
            text += "; all open after \(seconds(moment - start))"
        }
        text += "\n\(hold.sent) requests in \(seconds(elapsed)): \(hold.answered) answered, "
        text += "\(hold.lost) lost, \(hold.inFlight) unanswered; \(hold.reconnects) reconnects\n"
        if hold.unsent > 0 { text += "\(hold.unsent) not sent: no connection for them\n" }
        if latencies.count > 0 { text += line("latency", latencies) }
        if connectTimes.count > 0 { text += line("connect", connectTimes) }
        if delays.count > 0 { text += line("own delay", delays) }
        if isDelayedByItself {
            text +=
                "warning: a tenth or more of the slowest latencies is this process's own delay\n"
        }
        for (kind, count, example) in failures {
            text += "\(kind.isLocal ? "failed here" : "failed") \(kind.rawValue) \(count)"
            text += example.isEmpty ? "\n" : " (first: \(example))\n"
        }
        return text + spellLines
    }

    private var evenness: String {
        guard let jainIndex, let imbalance else { return "" }
        var text = "\nimbalance \(HoldReport.figure(imbalance)) (largest/fair), Jain's index "
        text += "\(HoldReport.figure(jainIndex)) over \(pods.count) "
        text += pods.count == 1 ? "pod" : "pods"
        let gone = pods.count { $0.isGone }
        if gone > 0 { text += ", \(gone) of them gone" }
        let unseen = distribution.promised - pods.count
        if unseen > 0 { text += " and \(unseen) promised that never answered" }
        if let recentJainIndex, pods.count > 1 {
            text += "; \(HoldReport.figure(recentJainIndex)) in the last \(FairShare.span) s"
        }
        return text + "\n"
    }

    private var spellLines: String {
        var text = ""
        for spell in distribution.fairShare.spells {
            text += "\(pods[spell.pod].name) had less than half of its fair share from "
            text += "\(seconds(spell.from, 0)) "
            if let until = spell.until {
                text += "to \(seconds(until, 0))\(spell.isGone ? ", when it was gone" : "") "
                text += "(± \(distribution.grain) s, judged over \(FairShare.span) s)\n"
            } else {
                text += "to the end\n"
            }
        }
        let further = distribution.fairShare.furtherSpells
        if further > 0 { text += "and \(further) more such times\n" }
        return text
    }

    private func table(rows: Int) -> String {
        var text = "  counts  server-name" + String(repeating: " ", count: width - 11)
        text += "    share     fair   last \(FairShare.span) s  connections\n"
        let sorted = pods.sorted { ($1.count, $0.name) < ($0.count, $1.name) }
        for pod in sorted.prefix(rows) {
            text += padded("\(pod.count)", 8) + "  " + pod.name
            text += String(repeating: " ", count: max(width - pod.name.count, 0))
            text += share(pod.count, of: distribution.total, width: 7)
            text += padded(decimal(100 * pod.fair, 1), 7) + " %"
            text += pod.isGone ? padded("gone", 11) : share(pod.recent, of: recentTotal, width: 9)
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
