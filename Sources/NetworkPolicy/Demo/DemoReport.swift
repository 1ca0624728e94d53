import JSONCodec
import Pacing
import Telemetry

/// What became of one policy of a demo run, beside what is known to be true of it.
public struct DemoOutcome: Equatable, Sendable {
    /// Its name.
    public var policy: String
    /// The address of the client pod.
    public var client: String
    /// The address of the target.
    public var address: String
    /// When the orchestrator created the policy.
    public var created: WallClock
    /// The target opened between these two moments: before and after its listener was made.
    public var opening: ClosedRange<WallClock>
    /// The result that came back through the proxy; nil when none did.
    public var timestamp: WallClock?
    /// The result's lower bound, where it has one.
    public var notBefore: WallClock?
    /// Probes sent.
    public var attempts = 0

    /// From the creation of the policy to the first answer: what a user of the instrument reads.
    public var latency: Duration? { timestamp.map { $0 - created } }
    /// What that figure should have been.
    public var trueLatency: Duration { opening.upperBound - created }
    /// By how much it is wrong.
    public var error: Duration? { timestamp.map { $0 - opening.upperBound } }
    /// By how much the result itself says that it may be wrong.
    public var uncertainty: Duration? {
        guard let timestamp, let notBefore else { return nil }
        return timestamp - notBefore
    }
    /// Whether the truth lies within the result's bounds; nil when it has none to hold.
    public var isBracketed: Bool? {
        guard let timestamp else { return nil }
        let isBelow = notBefore.map { $0 <= opening.upperBound } ?? true
        return isBelow && opening.lowerBound <= timestamp
    }
}

/// A finished demo run: the same figures as a table for people and as JSON for machines.
public struct DemoReport: Sendable {
    /// Client pods.
    public var clients: Int
    /// One for each policy that was created.
    public var outcomes: [DemoOutcome]
    /// From the start until the results were compared.
    public var elapsed: Duration
    /// The pace of the clients until their first success; nil when it was no slower than later.
    public var idleInterval: Duration?
    /// It was broken off: these are the policies until then.
    public var isInterrupted = false

    /// Results that came back.
    public var detected: Int { outcomes.count { $0.timestamp != nil } }
    /// Results whose bounds do not hold the truth: zero, or the instrument is broken.
    public var unsound: Int { outcomes.count { $0.isBracketed == false } }
    /// Whether every policy was detected within its bounds.
    public var isGood: Bool { detected == outcomes.count && unsound == 0 }

    /// A row of the table: one kind of figure over all policies.
    public struct Row: Sendable {
        /// In the JSON document.
        public let key: StaticString
        /// In the table.
        public let name: String
        /// Those that are known.
        public let samples: Samples
        /// Between which moments it lies.
        public let meaning: String
    }

    /// From top to bottom.
    public var rows: [Row] {
        [
            Row(
                key: "latency", name: "latency", samples: Samples(outcomes.compactMap(\.latency)),
                meaning: "policy created → first answer, as measured"),
            Row(
                key: "trueLatency", name: "true latency",
                samples: Samples(outcomes.map(\.trueLatency)),
                meaning: "policy created → target open"),
            Row(
                key: "trueError", name: "true error",
                samples: Samples(outcomes.compactMap(\.error)),
                meaning: "target open → first answer"),
            Row(
                key: "uncertainty", name: "uncertainty",
                samples: Samples(outcomes.compactMap(\.uncertainty)),
                meaning: "the error that each result admits"),
        ]
    }

    /// The table and the last line, for a terminal of 80 columns or more.
    public var text: String {
        let quantiles = [("p50", 50.0), ("p90", 90), ("p99", 99), ("max", 100)]
        var text = pad("milliseconds", 14, left: true)
        for (name, _) in quantiles { text += pad(name, 9) }
        text += "\n"
        for row in rows {
            text += pad(row.name, 14, left: true)
            for (_, quantile) in quantiles {
                text += pad(row.samples.percentile(quantile).map(milliseconds) ?? "–", 9)
            }
            text += "   \(row.meaning)\n"
        }
        let unbounded = outcomes.count { $0.timestamp != nil && $0.notBefore == nil }
        let widest = Samples(outcomes.compactMap(\.uncertainty)).maximum
        text += "\n\(detected) of \(outcomes.count) policies detected by \(clients) clients in "
        text += "\(decimal(elapsed.inSeconds, 1)) s; largest uncertainty "
        text += widest.map { "\(milliseconds($0)) ms" } ?? "unknown"
        if unbounded > 0 { text += ", \(unbounded) without a lower bound" }
        text += "; "
        text +=
            unsound == 0
            ? "every true opening lies within its bounds\n"
            : "\(unsound) TRUE OPENINGS LIE OUTSIDE THEIR BOUNDS\n"
        if isInterrupted { text += "interrupted: no further policies were created\n" }
        if let idleInterval {
            text +=
                "each client idled at one probe every \(GoDuration(idleInterval)) until its first "
            text += "success; --no-gate starts at full pace\n"
        }
        return text
    }

    /// Everything: the summary in milliseconds, and every policy with its moments.
    public var json: [UInt8] {
        var writer = JSONWriter(capacity: 256 * outcomes.count + 1024)
        writer.beginObject()
        writer.member("clients", integer: clients)
        writer.member("policies", integer: outcomes.count)
        writer.member("detected", integer: detected)
        writer.member("outsideBounds", integer: unsound)
        writer.member("elapsedSeconds", double: elapsed.inSeconds)
        writer.member("interrupted", bool: isInterrupted)
        writer.key("milliseconds")
        writer.beginObject()
        for row in rows {
            writer.key(row.key)
            writer.beginObject()
            for (name, quantile) in [("p50", 50.0), ("p90", 90), ("p99", 99), ("max", 100)] {
                writer.key(name)
                write(row.samples.percentile(quantile)?.inMilliseconds, to: &writer)
            }
            writer.endObject()
        }
        writer.endObject()
        writer.key("results")
        writer.beginArray()
        for outcome in outcomes { write(outcome, to: &writer) }
        writer.endArray()
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private func write(_ outcome: DemoOutcome, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("policy", string: outcome.policy)
        writer.member("client", string: outcome.client)
        writer.member("address", string: outcome.address)
        writer.member("created", string: outcome.created.description)
        writer.member("openedAfter", string: outcome.opening.lowerBound.description)
        writer.member("openedBefore", string: outcome.opening.upperBound.description)
        for (name, moment) in [("timestamp", outcome.timestamp), ("notbefore", outcome.notBefore)] {
            writer.key(name)
            if let moment { writer.string(moment.description) } else { writer.null() }
        }
        writer.member("attempts", integer: outcome.attempts)
        writer.key("latencyms")
        write(outcome.latency?.inMilliseconds, to: &writer)
        writer.key("errorms")
        write(outcome.error?.inMilliseconds, to: &writer)
        writer.key("uncertaintyms")
        write(outcome.uncertainty?.inMilliseconds, to: &writer)
        writer.endObject()
    }

    private func write(_ value: Double?, to writer: inout JSONWriter) {
        if let value { writer.double(value) } else { writer.null() }
    }

    private func milliseconds(_ duration: Duration) -> String {
        decimal(duration.inMilliseconds, 1)
    }

    /// A number with so many digits behind the point, rounded.
    private func decimal(_ value: Double, _ digits: Int) -> String {
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = Int64((value * scale).rounded())
        let whole = "\(scaled.magnitude / UInt64(scale))"
        let fraction = "\(scaled.magnitude % UInt64(scale))"
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return (scaled < 0 ? "-" : "") + whole + "." + zeros + fraction
    }

    private func pad(_ text: String, _ width: Int, left: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - text.count))
        return left ? text + space : space + text
    }
}
