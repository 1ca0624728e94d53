import Pacing

/// Counts values in buckets with fixed upper bounds, as Prometheus wants them.
public struct BucketHistogram: Sendable, Equatable {
    /// The inclusive upper bounds, ascending; values beyond the last are in a bucket of their own.
    public let upperBounds: [Double]
    /// One count a bucket, not cumulative; the last is for what is above all bounds.
    public private(set) var counts: [UInt64]
    /// Of all values observed, in the metric's unit.
    public private(set) var sum: Double = 0

    /// - Parameter upperBounds: finite and strictly ascending, in the metric's unit (seconds).
    public init(upperBounds: [Double]) {
        precondition(
            zip(upperBounds, upperBounds.dropFirst()).allSatisfy { $0 < $1 }
                && upperBounds.allSatisfy { $0.isFinite },
            "the bounds of a histogram must be finite and ascend")
        self.upperBounds = upperBounds
        counts = Array(repeating: 0, count: upperBounds.count + 1)
    }

    /// What somebody else has counted.
    /// - Parameters:
    ///   - counts: one for each bound, not cumulative, and one for what is above them all.
    ///   - sum: of all values, in the metric's unit.
    public init(upperBounds: [Double], counts: [UInt64], sum: Double) {
        self.init(upperBounds: upperBounds)
        precondition(counts.count == upperBounds.count + 1, "a histogram needs all its counts")
        self.counts = counts
        self.sum = sum
    }

    /// What a finer histogram has counted, in seconds. Its buckets that lie across a bound are
    /// taken whole, by their middle, so that counts of successive readings never fall: a bound is
    /// exact within `LatencyHistogram.relativeError`, sum and count are exact.
    public init(_ histogram: LatencyHistogram, upperBounds: [Double]) {
        self.init(upperBounds: upperBounds)
        var place = 0
        for bucket in histogram.buckets {
            let value = Double(LatencyHistogram.middle(of: bucket.index)) / 1e9
            while place < upperBounds.count, value > upperBounds[place] { place += 1 }
            counts[place] &+= bucket.count
        }
        sum = (Double(histogram.sumHigh) * 0x1p64 + Double(histogram.sumLow)) / 1e9
    }

    /// Adds what another one with the same bounds has counted.
    public mutating func merge(_ other: BucketHistogram) {
        precondition(other.upperBounds == upperBounds, "only equal buckets can be merged")
        for (index, added) in other.counts.enumerated() { counts[index] &+= added }
        sum += other.sum
    }

    /// Bounds in seconds from a millisecond to a minute: the latencies of a network under test.
    public static let latencySeconds: [Double] = [
        0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
    ]

    /// Bounds in seconds from a tenth of a millisecond, a request within one machine, to five
    /// minutes, an answer that somebody held back.
    public static let requestSeconds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
        10, 20, 30, 45, 60, 120, 300,
    ]

    /// How many values were observed.
    public var count: UInt64 { counts.reduce(0, &+) }

    /// Counts one value; NaN is left out, as it belongs nowhere.
    public mutating func observe(_ value: Double) {
        guard !value.isNaN else { return }
        // A handful of bounds: walking them is as quick as any search.
        var index = 0
        while index < upperBounds.count, value > upperBounds[index] { index += 1 }
        counts[index] &+= 1
        sum += value
    }

    /// Counts one length of time, in seconds.
    public mutating func observe(_ duration: Duration) { observe(duration.inSeconds) }
}
