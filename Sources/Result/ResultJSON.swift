import JSONCodec
import Telemetry

/// The document of a result, and what is read back from one.
///
///     {"kind":"egw-client","schema":1,
///      "runs":[{"id":"…","tool":"sonde 1.2.0","host":"pod-0","command":["sonde","egw",…],
///               "began":"2026-11-24T09:00:00Z","ended":"2026-11-24T09:00:07.25Z"}],
///      "configuration":{"interval":"50ms"},
///      "figures":{"probes":144,"delayms":{"value":7113.2,"least":7062.9,"most":7113.2}},
///      "breakdowns":{"misses":[{"kind":"closed","count":143}]},
///      "distributions":{"latency":{"count":2,"p50ms":0.2,…,"histogram":{…}}},
///      "notes":[],"leftout":[]}
///
/// What is not known is null. Of a distribution, readers take the histogram; its statistics stand
/// there for people and other programs. The schema that `sonde schema` prints says the same.
extension RunResult {
    /// The version of this form; readers refuse what is younger than they are.
    public static let schema = 1

    /// The document, with a line feed at its end.
    public var json: [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("kind", string: kind.name)
        writer.member("schema", integer: RunResult.schema)
        writeRuns(to: &writer)
        writer.key("configuration")
        writer.beginObject()
        for (name, value) in configuration.sorted(by: { $0.key < $1.key }) {
            writer.key(name)
            writer.string(value)
        }
        writer.endObject()
        writer.key("figures")
        writer.beginObject()
        for figure in kind.figures {
            writer.key(figure.key)
            write(self[figure], of: figure, to: &writer)
        }
        writer.endObject()
        writeBreakdowns(to: &writer)
        writeDistributions(to: &writer)
        write("notes", notes, to: &writer)
        write("leftout", leftOut, to: &writer)
        writer.endObject()
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    private func writeRuns(to writer: inout JSONWriter) {
        writer.key("runs")
        writer.beginArray()
        for run in runs {
            writer.beginObject()
            writer.member("id", string: run.id)
            writer.member("tool", string: run.tool)
            writer.member("host", string: run.host)
            write("command", run.command, to: &writer)
            writer.member("began", string: run.began.description)
            writer.member("ended", string: run.ended.description)
            writer.endObject()
        }
        writer.endArray()
    }

    private func write(
        _ name: StaticString, _ texts: [String], to writer: inout JSONWriter
    ) {
        writer.key(name)
        writer.beginArray()
        for text in texts { writer.string(text) }
        writer.endArray()
    }

    private func write(_ measure: Measure, of figure: Figure, to writer: inout JSONWriter) {
        guard figure.hasBounds else { return write(measure.value, to: &writer) }
        writer.beginObject()
        writer.key("value")
        write(measure.value, to: &writer)
        writer.key("least")
        write(measure.least, to: &writer)
        writer.key("most")
        write(measure.most, to: &writer)
        writer.endObject()
    }

    private func write(_ value: Measure.Value?, to writer: inout JSONWriter) {
        switch value {
        case nil: writer.null()
        case .integer(let value): writer.integer(value)
        case .number(let value): writer.double(value)
        case .moment(let value): writer.string(value.description)
        case .text(let value): writer.string(value)
        case .flag(let value): writer.bool(value)
        }
    }

    private func writeBreakdowns(to writer: inout JSONWriter) {
        writer.key("breakdowns")
        writer.beginObject()
        for breakdown in kind.breakdowns {
            writer.key(breakdown.key)
            writer.beginArray()
            for row in rows(breakdown) {
                writer.beginObject()
                writer.key(breakdown.label)
                writer.string(row)
                for column in breakdown.columns {
                    writer.key(column.key)
                    write(self[breakdown, row, column], of: column, to: &writer)
                }
                writer.endObject()
            }
            writer.endArray()
        }
        writer.endObject()
    }

    private func writeDistributions(to writer: inout JSONWriter) {
        writer.key("distributions")
        writer.beginObject()
        for distribution in kind.distributions {
            let histogram = self[distribution]
            writer.key(distribution.key)
            writer.beginObject()
            for statistic in Statistic.allCases {
                writer.key(statistic.rawValue)
                write(statistic.measure(of: histogram).value, to: &writer)
            }
            writer.member("relativeerror", double: LatencyHistogram.relativeError)
            writer.key("histogram")
            histogram.write(to: &writer)
            writer.endObject()
        }
        writer.endObject()
    }
}
