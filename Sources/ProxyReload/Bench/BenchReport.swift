import Pacing
import Reactor
import Telemetry

/// What a bench measured.
public struct BenchReport {
    /// What was asked for.
    public let configuration: BenchConfiguration
    /// All that was recorded, aggregated.
    public let timeline: ReloadTimeline
    /// From the start until no further request began, in nanoseconds.
    public internal(set) var sendingNanoseconds: Int64 = 0
    /// The address to which the host's name resolved.
    public internal(set) var target: SocketAddress?
    /// Requests that were given up without a row, because the bench was stopped twice.
    public internal(set) var inFlight = 0
    /// Open loop: requests that were due and had not begun at the end.
    public internal(set) var unsent = 0
    /// How late this process itself was. Open loop: by so much later than due it began requests.
    /// Closed loop: at any moment of the test, what was due or had come waited for so long.
    public internal(set) var delays = LatencyHistogram()
    /// For how long no request began because the recording could not be written fast enough.
    public internal(set) var held = Duration.zero
    /// Processor time of this process.
    public internal(set) var processor = Duration.zero
    /// Bytes of the recording.
    public internal(set) var recordedBytes: UInt64 = 0
    /// Why the recording ends early; nil when it is whole.
    public internal(set) var recordingFailure: String?

    init(configuration: BenchConfiguration, timeline: ReloadTimeline) {
        self.configuration = configuration
        self.timeline = timeline
    }

    /// From the start until the last request ended, in nanoseconds: all of them lie in it.
    public var elapsedNanoseconds: Int64 {
        max(sendingNanoseconds, timeline.total.endNanoseconds)
    }

    /// Whether this process's own delay is a tenth or more of the tail that was measured.
    public var isTailItsOwn: Bool { delays.explainsTail(of: timeline.total.latency) }

    /// Events whose command failed.
    public var failedEvents: [TimelineEvent] { timeline.events.filter { !$0.isGood } }

    /// Requests a second, over the whole test.
    public var rate: Double {
        elapsedNanoseconds > 0
            ? Double(timeline.total.requests) / (Double(elapsedNanoseconds) / 1e9) : 0
    }

    /// The last line of every bench.
    public var aggregateLine: String {
        let total = timeline.total
        return "success: \(total.successes) failure: \(total.failureCount) "
            + "front changed: \(total.frontChanges) back changed: \(total.backChanges)"
    }

    /// The summary for people; its last line is ``aggregateLine``.
    public var text: String {
        var lines = [headline] + latencyLines + ["failures   \(BenchText.failures(timeline.total))"]
        lines += localLines + instanceLines + remarks
        for window in timeline.windows { lines += windowLines(window) }
        if timeline.uncountedEvents > 0 {
            let failed = timeline.uncountedFailures
            lines.append(
                "further events, without windows: \(timeline.uncountedEvents)"
                    + (failed > 0 ? ", \(failed) of them FAILED" : ""))
        }
        lines.append(aggregateLine)
        return lines.joined(separator: "\n") + "\n"
    }

    private var headline: String {
        let total = timeline.total
        let loop =
            configuration.rate.map { "open loop at \(Self.plain($0))/s" } ?? "closed loop"
        let clients = BenchText.count(configuration.clients, "client")
        return "requests   \(total.requests) in \(BenchText.seconds(elapsedNanoseconds)), "
            + "\(Int(rate.rounded()))/s, \(clients), \(loop)"
    }

    private var latencyLines: [String] {
        let latency = timeline.total.latency
        let since =
            configuration.rate == nil
            ? "since the client turned to the request" : "since the request was due"
        return ["latency    \(Self.quantiles(latency)); \(since)"]
    }

    private var localLines: [String] {
        guard timeline.total.localCount > 0 else { return [] }
        return [
            "local      \(BenchText.kinds(timeline.total.locals)): this machine's own trouble, "
                + "not held against the target"
        ]
    }

    private var instanceLines: [String] {
        let shares = timeline.total.instances.indices
            .filter { timeline.total.instances[$0].answers > 0 }
            .map {
                let name = BenchText.printable(timeline.instances.name(UInt16($0)))
                return "\(name) \(timeline.total.instances[$0].answers)"
            }
        let unknown = timeline.total.latency.count - UInt64(timeline.total.answers)
        let rest = unknown > 0 ? ["not named \(unknown)"] : []
        let all = shares + rest
        return all.isEmpty ? [] : ["instances  " + all.joined(separator: ", ")]
    }

    /// What a reader must know to judge the figures.
    private var remarks: [String] {
        var lines: [String] = []
        if configuration.rate == nil {
            lines.append(
                "           a closed loop cannot show a stall as users feel it: each client "
                    + "waits with\n           one request instead of sending the next "
                    + "(coordinated omission); --rate can")
        }
        if let late = delays.percentile(99), let latest = delays.maximum {
            lines.append(
                "own delay  p99 \(BenchText.milliseconds(late.nanoseconds)), max "
                    + "\(BenchText.milliseconds(latest.nanoseconds)): how late this process "
                    + (configuration.rate == nil ? "was" : "began requests"))
        }
        if isTailItsOwn {
            lines.append("warning    own delay is a tenth or more of the p99: distrust the tail")
        }
        let rest = elapsedNanoseconds - sendingNanoseconds
        if rest * 10 >= elapsedNanoseconds, rest > 0 {
            lines.append(
                "the end    \(BenchText.seconds(rest)) waiting for the last answers, while nothing "
                    + "new began")
        }
        if unsent > 0 {
            lines.append("unsent     \(unsent) requests were due at the end and had not begun")
        }
        if held > .zero {
            lines.append(
                "paused     \(BenchText.seconds(held.nanoseconds)): the recording could not be "
                    + "written any faster")
        }
        if inFlight > 0 {
            lines.append(
                "given up   \(BenchText.count(inFlight, "request")) under way, not counted")
        }
        if elapsedNanoseconds > 0 {
            let share = Int((processor.inSeconds * 1e11 / Double(elapsedNanoseconds)).rounded())
            lines.append("processor  \(share) % of a core used by this process")
        }
        return lines
    }

    private func windowLines(_ window: EventWindow) -> [String] {
        let (event, period) = (window.event, window.window)
        let length = period.endNanoseconds - period.startNanoseconds
        var lines = [
            "",
            "\(event.isMark ? "mark" : "event") \(window.index + 1) at "
                + BenchText.seconds(event.startNanoseconds)
                + (event.isMark ? "" : ": " + BenchText.printable(event.command)),
        ]
        if !event.isMark {
            let took = event.endNanoseconds.map {
                " after " + BenchText.milliseconds($0 - event.startNanoseconds)
            }
            lines.append(
                "  command     " + (event.isGood ? "" : "FAILED: ")
                    + (event.result.isEmpty ? "still running" : event.result) + (took ?? ""))
        }
        lines += [
            "  window      \(BenchText.seconds(length)), "
                + BenchText.count(period.requests, "request"),
            "  failures    \(BenchText.failures(period))",
            "  changed     front \(period.frontChanges), back \(period.backChanges)",
        ]
        if let before = window.before {
            let what = before.event.map { " (the window of event \($0 + 1))" } ?? ""
            lines.append("  before      \(Self.quantiles(before.latency))\(what)")
        }
        lines.append("  in window   \(Self.quantiles(period.latency))")
        lines += changeLines(window)
        return lines
    }

    private func changeLines(_ window: EventWindow) -> [String] {
        func line(_ what: String, _ change: EventWindow.Change) -> String {
            let name = BenchText.printable(timeline.instances.name(change.instance))
            let time = BenchText.milliseconds(change.sinceStartNanoseconds.magnitude64)
            let side = change.sinceStartNanoseconds < 0 ? "before" : "after"
            return "  \(what) \(name), \(time) \(side) the start"
        }
        return window.appeared.map { line("first answer from", $0) }
            + window.returned.map { line("again answered by", $0) }
            + window.silences.flatMap(silenceLines)
    }

    /// The fact, and what follows from it.
    private func silenceLines(_ silence: Silence) -> [String] {
        let name = BenchText.printable(timeline.instances.name(silence.instance))
        let time = BenchText.milliseconds(silence.sinceStartNanoseconds.magnitude64)
        let side = silence.sinceStartNanoseconds < 0 ? "before" : "after"
        let open = BenchText.count(silence.openConnections, "connection")
        return [
            "  last answer from  \(name), \(time) \(side) the start; since then "
                + "\(silence.others) answers of others, \(open) open to it",
            "  " + silence.verdict(on: name),
        ]
    }

    static func quantiles(_ latency: LatencyHistogram) -> String {
        guard latency.count > 0 else { return "nothing was answered" }
        func value(_ percent: Double) -> String {
            BenchText.milliseconds(latency.percentile(percent)?.nanoseconds ?? 0)
        }
        let largest = BenchText.milliseconds(latency.maximum?.nanoseconds ?? 0)
        return "p50 \(value(50)), p99 \(value(99)), max \(largest)"
    }

    /// Without ".0" where it is whole.
    private static func plain(_ rate: Double) -> String {
        Int(exactly: rate).map { "\($0)" } ?? "\(rate)"
    }
}

extension Silence {
    /// Whether the instance is gone, and why that is known, in a sentence.
    public func verdict(on name: String) -> String {
        switch evidence {
        case .connections:
            "\(name) vanished: its connections broke off and none came back, others' went on"
        case .chance:
            "\(name) vanished: at its share since the event, chance is below one in a million"
        case nil: "\(name) may be chosen more seldom now: nothing proves that it vanished"
        }
    }
}

extension Int64 {
    /// The distance from zero, at most `Int64.max`.
    fileprivate var magnitude64: Int64 { Int64(clamping: magnitude) }
}
