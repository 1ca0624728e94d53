import Pacing
import Telemetry

/// What a run found, or several together: made by an instrument, written in every form from here,
/// read back and merged without loss.
public struct RunResult: Equatable, Sendable {
    /// What it consists of.
    public let kind: ResultKind
    /// The runs that are in it, each once, in the order of their beginnings.
    public internal(set) var runs: [Run]
    /// How it was asked for: names of options and their values. Merged, what all agree on.
    public var configuration: [String: String] = [:]
    /// When not to trust it, and why; sentences.
    public var notes: [String] = []
    /// Keys of what single runs had and this result, merged from them, has not.
    public internal(set) var leftOut: [String] = []

    // Complete: an entry for all that the kind declares, also where it is not known.
    var figures: [String: Measure] = [:]
    var breakdowns: [String: [String: [String: Measure]]] = [:]
    var histograms: [String: LatencyHistogram] = [:]

    /// Of one run; nothing is known yet.
    public init(_ kind: ResultKind, run: Run) {
        self.kind = kind
        runs = [run]
        for figure in kind.figures { figures[figure.key] = .unknown }
        for breakdown in kind.breakdowns { breakdowns[breakdown.key] = [:] }
        for distribution in kind.distributions { histograms[distribution.key] = .init() }
    }

    /// Who measured, when, and with what.
    public struct Run: Equatable, Sendable {
        /// Tells runs apart, so that none is merged twice: 32 hexadecimal digits, drawn at random.
        public let id: String
        /// The program and its version.
        public let tool: String
        /// The pod, or the machine.
        public let host: String
        /// As it was called.
        public let command: [String]
        /// When it began, by the machine's clock.
        public let began: WallClock
        /// When it ended: the beginning and the time that passed on a clock that nobody sets.
        public let ended: WallClock

        /// What a run says of itself.
        public init(
            id: String, tool: String, host: String, command: [String], began: WallClock,
            ended: WallClock
        ) {
            self.id = id
            self.tool = tool
            self.host = host
            self.command = command
            self.began = began
            self.ended = max(began, ended)
        }

        /// 128 bits as an ``id``.
        public static func id(_ bits: (UInt64, UInt64)) -> String {
            let digits = [bits.0, bits.1].map { word in
                let text = String(word, radix: 16)
                return String(repeating: "0", count: 16 - text.count) + text
            }
            return digits.joined()
        }
    }

    /// A figure's value; unknown until it is set.
    public subscript(figure: Figure) -> Measure {
        get { figures[figure.key] ?? .unknown }
        set {
            precondition(kind.figure(figure.key) != nil, "\(kind.name) has no \(figure.key)")
            figures[figure.key] = newValue
        }
    }

    /// A column's value in the row of that name.
    public subscript(
        breakdown: ResultKind.Breakdown, row: String, column: Figure
    ) -> Measure {
        get { breakdowns[breakdown.key]?[row]?[column.key] ?? .unknown }
        set {
            precondition(
                kind.breakdown(breakdown.key)?.columns.contains { $0.key == column.key } == true,
                "\(kind.name) has no \(breakdown.key).\(column.key)")
            let empty = Dictionary(
                uniqueKeysWithValues: breakdown.columns.map { ($0.key, Measure.unknown) })
            breakdowns[breakdown.key]?[row, default: empty][column.key] = newValue
        }
    }

    /// The names of a breakdown's rows, in order.
    public func rows(_ breakdown: ResultKind.Breakdown) -> [String] {
        (breakdowns[breakdown.key] ?? [:]).keys.sorted()
    }

    /// Lengths of time; none until they are set.
    public subscript(distribution: ResultKind.Distribution) -> LatencyHistogram {
        get { histograms[distribution.key] ?? LatencyHistogram() }
        set {
            precondition(
                kind.distribution(distribution.key) != nil,
                "\(kind.name) has no \(distribution.key)")
            histograms[distribution.key] = newValue
        }
    }

    /// For how long at least one of the runs went on: side by side counts once.
    public var elapsed: Duration {
        var total = Duration.zero
        var end: WallClock?
        for run in runs.sorted(by: { $0.began < $1.began }) {
            let start = max(run.began, end ?? run.began)
            if run.ended > start { total += run.ended - start }
            end = max(end ?? run.ended, run.ended)
        }
        return total
    }
}

/// The statistics of a distribution, under the keys by which documents and thresholds know them.
enum Statistic: String, CaseIterable {
    case count
    case minms, p50ms, p90ms, p99ms, p999ms, maxms, meanms

    func measure(of histogram: LatencyHistogram) -> Measure {
        switch self {
        case .count: .integer(histogram.count)
        case .minms: .milliseconds(histogram.minimum)
        case .p50ms: percentile(50, of: histogram)
        case .p90ms: percentile(90, of: histogram)
        case .p99ms: percentile(99, of: histogram)
        case .p999ms: percentile(99.9, of: histogram)
        case .maxms: .milliseconds(histogram.maximum)
        case .meanms: .milliseconds(histogram.mean)
        }
    }

    /// With the bounds that the histogram's buckets leave.
    private func percentile(_ percent: Double, of histogram: LatencyHistogram) -> Measure {
        guard let value = histogram.percentile(percent)?.inMilliseconds,
            let smallest = histogram.minimum?.inMilliseconds,
            let largest = histogram.maximum?.inMilliseconds
        else { return .unknown }
        // The ends are exact.
        let error = value == smallest || value == largest ? 0 : LatencyHistogram.relativeError
        return Measure(
            .number(value), least: .number(max(smallest, value * (1 - error))),
            most: .number(min(largest, value * (1 + error))))
    }

    var unit: Figure.Unit { self == .count ? .count : .milliseconds }

    /// Without the unit.
    var title: String { self == .count ? rawValue : String(rawValue.dropLast(2)) }
}
