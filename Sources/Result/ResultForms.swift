import JSONCodec
import Telemetry

/// The other forms of a result: for spreadsheets, for Prometheus, for plotters of percentiles.
extension RunResult {
    /// One line a figure (RFC 4180, but for its line ends):
    /// `section,row,key,value,least,most,unit`.
    /// What is not known is empty.
    public var csv: [UInt8] {
        var lines = ["section,row,key,value,least,most,unit"]
        func line(
            _ section: String, _ row: String, _ key: String, _ measure: Measure, _ unit: String
        ) {
            let cells =
                [section, row, key] + [measure.value, measure.least, measure.most].map(Self.cell)
                + [unit]
            lines.append(cells.map(Self.quoted).joined(separator: ","))
        }
        for figure in kind.figures {
            line("figures", "", figure.key, self[figure], figure.unit.rawValue)
        }
        for breakdown in kind.breakdowns {
            for row in rows(breakdown) {
                for column in breakdown.columns {
                    line(
                        breakdown.key, row, column.key, self[breakdown, row, column],
                        column.unit.rawValue)
                }
            }
        }
        for distribution in kind.distributions {
            for statistic in Statistic.allCases {
                line(
                    distribution.key, "", statistic.rawValue,
                    statistic.measure(of: self[distribution]), statistic.unit.rawValue)
            }
        }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func cell(_ value: Measure.Value?) -> String {
        switch value {
        case nil: return ""
        case .integer(let value): return "\(value)"
        case .moment(let value): return value.description
        case .text(let value): return value
        case .flag(let value): return "\(value)"
        case .number(let value):
            var bytes: [UInt8] = []
            JSONWriter.append(value, to: &bytes)
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private static func quoted(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x2C || $0 < 0x20 }) else {
            return text
        }
        return "\""
            + text.split(separator: "\"", omittingEmptySubsequences: false)
            .joined(separator: "\"\"") + "\""
    }

    /// Metrics in Prometheus' text form: every figure that is a number and has a metric's name.
    /// What is not known has no sample. A push gateway or a node's textfile collector takes it.
    public var prometheus: [UInt8] {
        var text = ""
        func family(_ figure: Figure, _ samples: [(labels: String, measure: Measure)]) {
            guard let metric = figure.metric else { return }
            let known = samples.filter { $0.measure.value?.double != nil }
            if known.isEmpty { return }
            let isCounter = metric.hasSuffix("_total")
            text += "# HELP \(metric) \(figure.help)\n"
            text += "# TYPE \(metric) \(isCounter ? "counter" : "gauge")\n"
            for (labels, measure) in known {
                text += "\(metric)\(labels) \(Self.sample(measure, figure.unit))\n"
            }
        }
        for figure in kind.figures { family(figure, [("", self[figure])]) }
        for breakdown in kind.breakdowns {
            for column in breakdown.columns {
                family(
                    column,
                    rows(breakdown).map { row in
                        let label = Self.escaped(row)
                        return (
                            "{\(breakdown.label)=\"\(label)\"}", self[breakdown, row, column]
                        )
                    })
            }
        }
        return Array(text.utf8)
    }

    /// In base units, as Prometheus wants them: seconds.
    private static func sample(_ measure: Measure, _ unit: Figure.Unit) -> String {
        if case .integer(let value)? = measure.value { return "\(value)" }
        let value = measure.value?.double ?? .nan
        switch unit {
        case .milliseconds: return cell(.number(value / 1000))
        case .moment: return cell(.number(value / 1e9))
        default: return cell(.number(value))
        }
    }

    private static func escaped(_ text: String) -> String {
        text.map { character in
            switch character {
            case "\\": "\\\\"
            case "\"": "\\\""
            case "\n": "\\n"
            default: String(character)
            }
        }.joined()
    }

    /// A distribution as HdrHistogram's tools print it (value in milliseconds, percentile as a
    /// share, values up to there, 1/(1 − percentile)), for whatever plots such files.
    public func hdrPercentiles(_ distribution: ResultKind.Distribution) -> [UInt8] {
        let histogram = self[distribution]
        var lines = [
            Self.padded("Value", 12) + Self.padded("Percentile", 15)
                + Self.padded("TotalCount", 11) + Self.padded("1/(1-Percentile)", 17), "",
        ]
        func line(_ share: Double) {
            guard let value = histogram.percentile(share * 100) else { return }
            let rank = share >= 1 ? histogram.count : histogram.rank(share)
            var text =
                Self.padded(DecimalText.plain(value.inMilliseconds, places: 3), 12)
                + Self.padded(DecimalText.plain(share, places: 12), 15)
                + Self.padded("\(rank)", 11)
            if share < 1 { text += Self.padded(DecimalText.plain(1 / (1 - share), places: 2), 15) }
            lines.append(text)
        }
        // Five steps for each halving of what is left, down to a single value.
        var rest = 1.0
        while histogram.count > 0, rest * Double(histogram.count) >= 0.5, rest > 1e-9 {
            for step in 0..<5 { line(1 - rest * (1 - Double(step) / 10)) }
            rest /= 2
        }
        line(1)
        let mean = histogram.mean.map { DecimalText.plain($0.inMilliseconds, places: 3) } ?? "0"
        let most = histogram.maximum.map { DecimalText.plain($0.inMilliseconds, places: 3) } ?? "0"
        lines.append("#[Mean    = \(Self.padded(mean, 12)), Count = \(histogram.count)]")
        lines.append("#[Max     = \(Self.padded(most, 12)), Unit = ms]")
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

extension DecimalText {
    /// As ``fixed(_:places:)``, without commas between thousands and for up to 12 places.
    static func plain(_ value: Double, places: Int) -> String {
        guard value.isFinite, value.magnitude < 1e6 || places <= 6, value.magnitude < 1e12 else {
            return "\(value)"
        }
        var scale: Int64 = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let digits = String(scaled % scale)
        let zeros = String(repeating: "0", count: places - digits.count)
        return "\(value < 0 && scaled > 0 ? "-" : "")\(scaled / scale).\(zeros)\(digits)"
    }
}

extension LatencyHistogram {
    /// How many values there are up to that share of them.
    fileprivate func rank(_ share: Double) -> UInt64 {
        UInt64(max(1, (share * Double(count)).rounded(.up)))
    }
}
