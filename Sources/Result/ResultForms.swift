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
        var text = PrometheusText()
        func family(_ figure: Figure, _ samples: [(PrometheusText.Labels, Measure)]) {
            guard let metric = figure.metric else { return }
            let known = samples.filter { $0.1.value?.double != nil }
            if known.isEmpty { return }
            let isCounter = "\(metric)".hasSuffix("_total")
            text.family(metric, isCounter ? .counter : .gauge, help: figure.help)
            for (labels, measure) in known {
                switch measure.value {
                case .integer(let value)?: text.sample(value, labels)
                default: text.sample(figure.unit.inBaseUnits(measure.value?.double), labels)
                }
            }
        }
        for figure in kind.figures { family(figure, [([], self[figure])]) }
        for breakdown in kind.breakdowns {
            for column in breakdown.columns {
                family(
                    column,
                    rows(breakdown).map {
                        ([(breakdown.label, $0)], self[breakdown, $0, column])
                    })
            }
        }
        return text.bytes
    }

    /// A distribution as HdrHistogram's tools print it (value in milliseconds, percentile as a
    /// share, values up to there, 1/(1 − percentile)), for whatever plots such files.
    public func hdrPercentiles(_ distribution: ResultKind.Distribution) -> [UInt8] {
        let histogram = self[distribution]
        var lines = [
            Self.padded("Value", 12) + Self.padded("Percentile", 15)
                + Self.padded("TotalCount", 11) + Self.padded("1/(1-Percentile)", 17), "",
        ]
        func plain(_ value: Double, _ places: Int) -> String {
            DecimalText.fixed(value, places: places, grouped: false)
        }
        func line(_ share: Double) {
            guard let value = histogram.percentile(share * 100) else { return }
            let rank = share >= 1 ? histogram.count : histogram.rank(share)
            var text =
                Self.padded(plain(value.inMilliseconds, 3), 12)
                + Self.padded(plain(share, 12), 15)
                + Self.padded("\(rank)", 11)
            if share < 1 { text += Self.padded(plain(1 / (1 - share), 2), 15) }
            lines.append(text)
        }
        // Five steps for each halving of what is left, down to a single value.
        var rest = 1.0
        while histogram.count > 0, rest * Double(histogram.count) >= 0.5, rest > 1e-9 {
            for step in 0..<5 { line(1 - rest * (1 - Double(step) / 10)) }
            rest /= 2
        }
        line(1)
        let mean = histogram.mean.map { plain($0.inMilliseconds, 3) } ?? "0"
        let most = histogram.maximum.map { plain($0.inMilliseconds, 3) } ?? "0"
        lines.append("#[Mean    = \(Self.padded(mean, 12)), Count = \(histogram.count)]")
        lines.append("#[Max     = \(Self.padded(most, 12)), Unit = ms]")
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(0, width - text.count)) + text
    }
}

extension Figure.Unit {
    /// Seconds, as Prometheus wants them.
    fileprivate func inBaseUnits(_ value: Double?) -> Double {
        switch self {
        case .milliseconds: (value ?? .nan) / 1000
        case .moment: (value ?? .nan) / 1e9
        default: value ?? .nan
        }
    }
}

extension LatencyHistogram {
    /// How many values there are up to that share of them.
    fileprivate func rank(_ share: Double) -> UInt64 {
        UInt64(max(1, (share * Double(count)).rounded(.up)))
    }
}
