import JSONCodec
import Pacing
import Telemetry

/// What a client has found, for programs.
extension HoldReport {
    /// Everything: counts, latencies in milliseconds, and the series, one entry a second.
    public var json: [UInt8] {
        var writer = JSONWriter(capacity: 4096 + 128 * distribution.windows.count)
        writer.beginObject()
        writer.member("kind", string: "longlived-client")
        writer.member("target", string: target)
        writer.member("connections", integer: connections)
        writer.member("seed", integer: seed)
        writer.member("elapsedms", double: elapsed.inMilliseconds)
        writer.member("open", integer: hold.open)
        writer.member("opened", integer: hold.opened)
        writer.member("reconnects", integer: hold.reconnects)
        writer.member("closedidle", integer: hold.closedIdle)
        writer.member("sent", integer: hold.sent)
        writer.member("unsent", integer: hold.unsent)
        writer.member("answered", integer: hold.answered)
        writer.member("lost", integer: hold.lost)
        writer.member("unanswered", integer: hold.inFlight)
        writer.member("peakinflight", integer: hold.peakInFlight)
        if let moment = hold.allOpenAt, let start = hold.startedAt {
            writer.member("allopenms", double: (moment - start).inMilliseconds)
        } else {
            writer.memberNull("allopenms")
        }
        write("latencyms", latencies, to: &writer)
        write("connectms", connectTimes, to: &writer)
        write("owndelayms", delays, to: &writer)
        writeFailures("failures", isLocal: false, to: &writer)
        writeFailures("localfailures", isLocal: true, to: &writer)
        writePods(to: &writer)
        writeSpells(to: &writer)
        writeSeries(to: &writer)
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private func write(
        _ name: StaticString, _ histogram: LatencyHistogram, to writer: inout JSONWriter
    ) {
        writer.key(name)
        writer.beginObject()
        for (name, percent) in HoldReport.percentiles {
            if let value = histogram.percentile(percent) {
                writer.member(name, double: value.inMilliseconds)
            }
        }
        if let mean = histogram.mean { writer.member("mean", double: mean.inMilliseconds) }
        writer.member("relativeerror", double: LatencyHistogram.relativeError)
        // Every bucket, so that the results of several pods can be merged exactly.
        writer.key("histogram")
        histogram.write(to: &writer)
        writer.endObject()
    }

    private func writeFailures(
        _ name: StaticString, isLocal: Bool, to writer: inout JSONWriter
    ) {
        writer.key(name)
        writer.beginObject()
        for (kind, count, _) in failures where kind.isLocal == isLocal {
            writer.key(kind.rawValue)
            writer.integer(count)
        }
        writer.endObject()
    }

    private func writePods(to writer: inout JSONWriter) {
        write("imbalance", imbalance, to: &writer)
        write("jain", jainIndex, to: &writer)
        write("recentjain", recentJainIndex, to: &writer)
        if distribution.promised > 0 {
            writer.member("podspromised", integer: distribution.promised)
        } else {
            writer.memberNull("podspromised")
        }
        writer.member("podssharing", integer: sharing)
        writer.key("pods")
        writer.beginArray()
        for pod in pods {
            writer.beginObject()
            writer.member("name", string: pod.name)
            writer.member("count", integer: pod.count)
            writer.member("share", double: Double(pod.count) / Double(max(distribution.total, 1)))
            writer.member("fair", double: pod.fair)
            writer.member("recent", integer: pod.recent)
            writer.member("connections", integer: pod.connections)
            writer.member("gone", bool: pod.isGone)
            writer.endObject()
        }
        writer.endArray()
    }

    private func write(_ name: StaticString, _ value: Double?, to writer: inout JSONWriter) {
        if let value { writer.member(name, double: value) } else { writer.memberNull(name) }
    }

    private func writeSpells(to writer: inout JSONWriter) {
        writer.member("judgedoverseconds", integer: FairShare.span)
        writer.key("belowfairshare")
        writer.beginArray()
        for spell in distribution.fairShare.spells {
            writer.beginObject()
            writer.member("pod", string: pods[spell.pod].name)
            writer.member("fromseconds", double: spell.from.inSeconds)
            write("untilseconds", spell.until?.inSeconds, to: &writer)
            writer.member("gone", bool: spell.isGone)
            writer.endObject()
        }
        writer.endArray()
        writer.member("belowfairshareomitted", integer: distribution.fairShare.furtherSpells)
    }

    /// Answers in the order of `pods`.
    private func writeSeries(to writer: inout JSONWriter) {
        writer.member("seriesgrainseconds", integer: distribution.grain)
        writer.key("series")
        writer.beginArray()
        for window in distribution.series {
            writer.beginObject()
            writer.member("second", integer: window.start)
            writer.member("seconds", integer: window.seconds)
            writer.member("open", integer: window.gauges.open)
            writer.member("inflight", integer: window.gauges.inFlight)
            writer.member("failures", integer: window.failures)
            writer.member("sharing", integer: window.sharing(promised: distribution.promised))
            write("jain", jain(window), to: &writer)
            writer.key("counts")
            writer.beginArray()
            for pod in pods.indices { writer.integer(window.count(of: pod)) }
            writer.endArray()
            writer.endObject()
        }
        writer.endArray()
    }

    /// Over the pods that share in it.
    private func jain(_ window: Distribution.Window) -> Double? {
        jainIndex(of: [window])
    }

    /// The series, one line a second (or as many as `seconds` says) and one column a pod (RFC 4180,
    /// but for its line ends).
    public var csv: [UInt8] {
        var text = Array("second,seconds,open,inflight,failures,sharing,jain".utf8)
        for pod in pods {
            text.append(UInt8(ascii: ","))
            text.append(contentsOf: HoldReport.csvField(pod.name).utf8)
        }
        text.append(UInt8(ascii: "\n"))
        for window in distribution.series {
            var line = "\(window.start),\(window.seconds),\(window.gauges.open)"
            line += ",\(window.gauges.inFlight),\(window.failures)"
            line += ",\(window.sharing(promised: distribution.promised))"
            line += "," + (jain(window).map { "\($0)" } ?? "")
            for pod in pods.indices { line += ",\(window.count(of: pod))" }
            text.append(contentsOf: line.utf8)
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    static func csvField(_ text: String) -> String {
        guard text.contains(where: { ",\"\n\r".contains($0) }) else { return text }
        var quoted = "\""
        for character in text { quoted += character == "\"" ? "\"\"" : String(character) }
        return quoted + "\""
    }
}
