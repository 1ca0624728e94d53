import JSONCodec
import Pacing
import Telemetry

extension BenchReport {
    /// The summary as one JSON document, with the same content as ``text``.
    ///
    /// Times are in milliseconds since the start of the test where they end in `atms`; lengths of
    /// time end in `ms`. `null` stands for what is not known or does not apply.
    public var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("kind", string: "reload-bench")
        let total = timeline.total
        writer.member(
            "url", string: "http://\(configuration.url.authority)\(configuration.url.target)")
        writer.member("target", string: target.map { "\($0)" } ?? "")
        writer.member("clients", integer: configuration.clients)
        writer.member("loop", string: configuration.rate == nil ? "closed" : "open")
        number(&writer, "rate", configuration.rate)
        writer.member("timeoutms", double: configuration.timeout.inMilliseconds)
        writer.member("elapsedms", double: milliseconds(elapsedNanoseconds))
        writer.member("requests", integer: total.requests)
        writer.member("sendingms", double: milliseconds(sendingNanoseconds))
        writer.member("requestspersecond", double: rate)
        writer.member("success", integer: total.successes)
        writer.member("failure", integer: total.failureCount)
        writer.member("frontchanged", integer: total.frontChanges)
        writer.member("backchanged", integer: total.backChanges)
        failures(&writer, "failures", total.failures)
        writer.member("local", integer: total.localCount)
        failures(&writer, "localfailures", total.locals)
        writer.key("latency")
        latency(&writer, total.latency)
        writer.member("coordinatedomissioncorrected", bool: configuration.rate != nil)
        instances(&writer, total)
        writer.key("owndelay")
        latency(&writer, delays)
        writer.member("tailisown", bool: isTailItsOwn)
        writer.member("unsent", integer: unsent)
        writer.member("pausedms", double: held.inMilliseconds)
        writer.member("givenup", integer: inFlight)
        writer.member("processorms", double: processor.inMilliseconds)
        recording(&writer)
        writer.key("events")
        writer.beginArray()
        for window in timeline.windows { event(&writer, window) }
        writer.endArray()
        writer.member("furtherevents", integer: timeline.uncountedEvents)
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private func recording(_ writer: inout JSONWriter) {
        writer.key("csv")
        writer.beginObject()
        writer.member("path", string: configuration.csvPath ?? "")
        writer.member("bytes", integer: recordedBytes)
        if let recordingFailure {
            writer.member("failure", string: recordingFailure)
        } else {
            writer.memberNull("failure")
        }
        writer.endObject()
    }

    private func event(_ writer: inout JSONWriter, _ window: EventWindow) {
        let (event, period) = (window.event, window.window)
        writer.beginObject()
        writer.member("number", integer: window.index + 1)
        writer.member("kind", string: event.isMark ? "mark" : "command")
        writer.member("command", string: event.command)
        writer.member("startatms", double: milliseconds(event.startNanoseconds))
        number(&writer, "endatms", event.endNanoseconds.map { milliseconds($0) })
        writer.member("result", string: event.result)
        writer.member("good", bool: event.isGood)
        let length = period.endNanoseconds - period.startNanoseconds
        writer.member("windowms", double: milliseconds(length))
        writer.member("requests", integer: period.requests)
        writer.member("failure", integer: period.failureCount)
        failures(&writer, "failures", period.failures)
        writer.member("local", integer: period.localCount)
        writer.member("frontchanged", integer: period.frontChanges)
        writer.member("backchanged", integer: period.backChanges)
        writer.key("before")
        latency(&writer, window.before?.latency ?? LatencyHistogram())
        number(&writer, "beforeevent", window.before?.event.map { Double($0 + 1) })
        writer.key("latency")
        latency(&writer, period.latency)
        changes(&writer, "firstanswers", window.appeared)
        changes(&writer, "returned", window.returned)
        silences(&writer, window.silences)
        writer.endObject()
    }

    private func silences(_ writer: inout JSONWriter, _ silences: [Silence]) {
        writer.key("lastanswers")
        writer.beginArray()
        for silence in silences {
            writer.beginObject()
            writer.member("instance", string: timeline.instances.name(silence.instance))
            writer.member("sincestartms", double: milliseconds(silence.sinceStartNanoseconds))
            writer.member("answersofothers", integer: silence.others)
            writer.member("openconnections", integer: silence.openConnections)
            writer.member("vanished", bool: silence.evidence != nil)
            if let evidence = silence.evidence {
                writer.member("evidence", string: evidence.rawValue)
            } else {
                writer.memberNull("evidence")
            }
            writer.endObject()
        }
        writer.endArray()
    }

    private func changes(
        _ writer: inout JSONWriter, _ key: StaticString, _ changes: [EventWindow.Change]
    ) {
        writer.key(key)
        writer.beginArray()
        for change in changes {
            writer.beginObject()
            writer.member("instance", string: timeline.instances.name(change.instance))
            writer.member("sincestartms", double: milliseconds(change.sinceStartNanoseconds))
            writer.endObject()
        }
        writer.endArray()
    }

    private func instances(_ writer: inout JSONWriter, _ period: TimelinePeriod) {
        writer.key("instances")
        writer.beginArray()
        for number in period.instances.indices where period.instances[number].answers > 0 {
            let share = period.instances[number]
            writer.beginObject()
            writer.member("name", string: timeline.instances.name(UInt16(number)))
            writer.member("answers", integer: share.answers)
            writer.member("firstatms", double: milliseconds(share.firstNanoseconds))
            writer.member("lastatms", double: milliseconds(share.lastNanoseconds))
            writer.endObject()
        }
        writer.endArray()
        writer.member("notnamed", integer: Int(period.latency.count) - period.answers)
    }

    private func failures(
        _ writer: inout JSONWriter, _ key: StaticString, _ counts: [RequestOutcome: Int]
    ) {
        writer.key(key)
        writer.beginObject()
        for (outcome, count) in counts.sorted(by: { $0.key < $1.key }) {
            writer.key(outcome.description)
            writer.integer(count)
        }
        writer.endObject()
    }

    private func latency(_ writer: inout JSONWriter, _ latency: LatencyHistogram) {
        writer.beginObject()
        writer.member("count", integer: latency.count)
        for (key, percent) in [
            ("p50ms", 50), ("p90ms", 90), ("p99ms", 99), ("p999ms", 99.9),
        ] as [(String, Double)] {
            writer.key(key)
            writer.number(latency.percentile(percent)?.inMilliseconds)
        }
        number(&writer, "maxms", latency.maximum?.inMilliseconds)
        number(&writer, "meanms", latency.mean?.inMilliseconds)
        // Every bucket, so that the results of several pods can be merged exactly.
        writer.key("histogram")
        latency.write(to: &writer)
        writer.endObject()
    }

    private func number(_ writer: inout JSONWriter, _ key: StaticString, _ value: Double?) {
        writer.key(key)
        writer.number(value)
    }

    private func milliseconds(_ nanoseconds: Int64) -> Double { Double(nanoseconds) / 1e6 }
}

extension JSONWriter {
    /// A number, or `null`.
    fileprivate mutating func number(_ value: Double?) {
        if let value { double(value) } else { null() }
    }
}
