import Pacing
import Telemetry

@testable import Result

/// A kind that has one of everything.
enum Sample {
    static let sent = Figure(
        "sent", "sent", merging: .sum, metric: "sample_sent_total", help: "Requests sent.")
    static let answered = Figure("answered", "answered", merging: .sum, help: "Answers.")
    static let rate = Figure(
        "rate", "rate", .perSecond, merging: .rate(of: "sent"), help: "Requests a second.")
    static let loss = Figure(
        "loss", "loss", .share, merging: .ratio(of: "sent", to: "answered"), help: "Nonsense.")
    static let delay = Figure(
        "delayms", "delay", .milliseconds, merging: .largest, hasBounds: true,
        metric: "sample_delay_seconds", help: "From the change to its effect.")
    static let first = Figure(
        "firstat", "first", .moment, merging: .smallest, help: "The first answer.")
    static let target = Figure("target", "target", .text, merging: .same, help: "Who was asked.")
    static let mode = Figure("mode", "mode", .text, merging: .agreed, help: "How.")
    static let isOwn = Figure("own", "own", .flag, merging: .agreed, help: "Whose.")
    static let peak = Figure("peak", "peak", .bytes, merging: .single, help: "Memory.")

    static let count = Figure(
        "count", "count", merging: .sum, metric: "sample_misses_total", help: "How many.")
    static let share = Figure(
        "share", "share", .share, merging: .ratio(of: "count", to: "count"), help: "Of all.")
    static let misses = ResultKind.Breakdown(
        "misses", "misses", by: "kind", [count, share], help: "Probes without an answer.")
    static let latency = ResultKind.Distribution(
        "latency", "latency", help: "From a request to its answer.")

    static let kind = ResultKind(
        name: "sample", title: "what tests measure",
        figures: [sent, answered, rate, loss, delay, first, target, mode, isOwn, peak],
        breakdowns: [misses], distributions: [latency])

    static let epoch = WallClock(nanosecondsSinceEpoch: 1_795_510_800_000_000_000)

    /// A run that began `after` the epoch, and went on for `seconds`.
    static func run(_ number: UInt64, after: Double = 0, seconds: Double = 10) -> RunResult.Run {
        let began = epoch + .nanoseconds(Int64(after * 1e9))
        return RunResult.Run(
            id: RunResult.Run.id((number, 1)), tool: "sonde 0.0.0", host: "pod-\(number)",
            command: ["sonde", "sample"], began: began,
            ended: began + .nanoseconds(Int64(seconds * 1e9)))
    }

    static func result(
        _ number: UInt64, after: Double = 0, seconds: Double = 10, sent: Int = 100
    ) -> RunResult {
        var result = RunResult(kind, run: run(number, after: after, seconds: seconds))
        result.configuration = ["interval": "50ms", "pod": "\(number)"]
        result[self.sent] = .integer(sent)
        result[answered] = .integer(sent / 2)
        result[rate] = .number(Double(sent) / seconds)
        result[loss] = .number(2)
        result[delay] = Measure(
            .number(Double(number) + 0.5), least: .number(Double(number)),
            most: .number(Double(number) + 0.5))
        result[first] = .moment(epoch + .seconds(Int64(number)))
        result[target] = .text("10.0.0.1:80")
        result[mode] = .text("open")
        result[isOwn] = .flag(true)
        result[misses, "closed", count] = .integer(3)
        result[misses, "closed", share] = .number(0.75)
        result[misses, "refused \(number)", count] = .integer(1)
        result[misses, "refused \(number)", share] = .number(0.25)
        var histogram = LatencyHistogram()
        for value in 1...100 { histogram.record(.microseconds(Int64(value) * 100)) }
        result[latency] = histogram
        return result
    }

    static func read(_ bytes: [UInt8], name: String = "a.json") throws -> RunResult {
        try bytes.withUnsafeBytes {
            try RunResult(reading: $0, name: name, kinds: [kind])
        }
    }
}
