import Pacing

/// All measured values of a summary, exactly: percentiles are values that occurred.
public struct Samples: Sendable {
    /// In ascending order.
    public let sorted: [Duration]

    /// Sorts once, so that every question after it is a look-up.
    public init(_ values: some Sequence<Duration>) { sorted = values.sorted() }

    /// How many values there are.
    public var count: Int { sorted.count }
    /// Nil when there are no values.
    public var minimum: Duration? { sorted.first }
    /// Nil when there are no values.
    public var maximum: Duration? { sorted.last }

    /// The smallest value that is not below `percent` of all values (the nearest-rank method).
    /// - Parameter percent: 0 to 100; beyond that it counts as the nearer end.
    /// - Returns: nil when there are no values.
    public func percentile(_ percent: Double) -> Duration? {
        guard !sorted.isEmpty else { return nil }
        return sorted[nearestRank(percent, count: sorted.count) - 1]
    }

    /// The arithmetic mean; nil when there are no values.
    public var mean: Duration? {
        guard !sorted.isEmpty else { return nil }
        return sorted.reduce(.zero, +) / sorted.count
    }
}

/// The rank, from one, of the percentile among `count` values; `count` is not zero.
func nearestRank(_ percent: Double, count: Int) -> Int {
    guard percent > 0 else { return 1 }
    guard percent < 100 else { return count }
    // 99.9 and its like are a hair above their decimal value in binary; without the slack they
    // would name the rank after the one that is meant.
    let exact = Double(count) * percent / 100
    return max(1, min(count, Int((exact - exact * 1e-12).rounded(.up))))
}
