import Pacing

/// Counts lengths of time in buckets that grow with their value, so that any percentile is known
/// within half a percent in memory that does not grow with the number of values.
///
/// Below 256 ns every nanosecond has its own bucket; above, every doubling is divided into 128
/// equal ones. Up to an hour that is at most 36 KB; room is only made for what occurs.
public struct LatencyHistogram: Sendable, Equatable {
    private var counts: [UInt64] = []
    /// How many values were recorded.
    public private(set) var count: UInt64 = 0
    /// In two words, so that it stays exact, and the same in whatever order histograms are merged:
    /// 64 bits hold 584 years, which two days of a hundred thousand waiting connections come
    /// close to.
    var sumHigh: UInt64 = 0
    var sumLow: UInt64 = 0
    private var smallest = UInt64.max
    private var largest: UInt64 = 0

    /// By how much a percentile may differ from the value that it stands for, as a share of it.
    public static let relativeError = 1.0 / 256

    /// Whether these delays of the measurer's own are a tenth or more of the 99th percentile of
    /// what it measured.
    public func explainsTail(of measured: LatencyHistogram) -> Bool {
        guard let own = percentile(99), let tail = measured.percentile(99) else { return false }
        return own > .zero && own * 10 >= tail
    }

    /// Empty; it allocates nothing until a value comes.
    public init() {}

    /// Records one value; a negative one counts as zero.
    @inline(__always)
    public mutating func record(_ duration: Duration) {
        record(nanoseconds: duration.nanoseconds)
    }

    /// Records one value; a negative one counts as zero.
    public mutating func record(nanoseconds: Int64) {
        let value = UInt64(max(0, nanoseconds))
        let index = Self.index(of: value)
        if index >= counts.count { grow(to: index) }
        counts[index] &+= 1
        count &+= 1
        add(toSum: (0, value))
        smallest = min(smallest, value)
        largest = max(largest, value)
    }

    @inline(__always)
    private mutating func add(toSum words: (high: UInt64, low: UInt64)) {
        let (low, carries) = sumLow.addingReportingOverflow(words.low)
        sumLow = low
        sumHigh = sumHigh &+ words.high &+ (carries ? 1 : 0)
    }

    /// Adds all values of another histogram.
    public mutating func merge(_ other: LatencyHistogram) {
        if other.counts.count > counts.count { grow(to: other.counts.count - 1) }
        for (index, added) in other.counts.enumerated() { counts[index] &+= added }
        count &+= other.count
        add(toSum: (other.sumHigh, other.sumLow))
        smallest = min(smallest, other.smallest)
        largest = max(largest, other.largest)
    }

    /// Exact; nil when nothing was recorded.
    public var minimum: Duration? { count == 0 ? nil : duration(smallest) }
    /// Exact; nil when nothing was recorded.
    public var maximum: Duration? { count == 0 ? nil : duration(largest) }
    /// To the nanosecond below; nil when nothing was recorded.
    public var mean: Duration? {
        // No value is longer than Int64.max, so the high word is below the count.
        guard count > 0, sumHigh < count else { return nil }
        return duration(count.dividingFullWidth((sumHigh, sumLow)).quotient)
    }

    /// The nearest-rank percentile within `relativeError`; nil when nothing was recorded.
    /// - Parameter percent: 0 to 100; beyond that it counts as the nearer end.
    public func percentile(_ percent: Double) -> Duration? {
        guard count > 0 else { return nil }
        let rank = UInt64(nearestRank(percent, count: Int(clamping: count)))
        if rank == 1 { return duration(smallest) }
        if rank == count { return duration(largest) }
        var seen: UInt64 = 0
        for (index, here) in counts.enumerated() {
            seen &+= here
            if seen >= rank {
                return duration(min(max(Self.middle(of: index), smallest), largest))
            }
        }
        return duration(largest)
    }

    /// The values above `duration`, those of its own bucket not counted.
    public func count(above duration: Duration) -> UInt64 {
        let index = Self.index(of: UInt64(max(0, duration.nanoseconds)))
        guard index + 1 < counts.count else { return 0 }
        return counts[(index + 1)...].reduce(0, &+)
    }

    /// The buckets that hold anything, in ascending order.
    var buckets: some Sequence<(index: Int, count: UInt64)> {
        counts.enumerated().lazy.filter { $0.element > 0 }.map { ($0.offset, $0.element) }
    }

    /// From what `buckets` and the exact figures said; the caller has checked that they agree.
    init(
        buckets: [(index: Int, count: UInt64)], count: UInt64,
        sum: (high: UInt64, low: UInt64), bounds: ClosedRange<UInt64>?
    ) {
        if let last = buckets.last { grow(to: last.index) }
        for bucket in buckets { counts[bucket.index] = bucket.count }
        self.count = count
        (sumHigh, sumLow) = sum
        smallest = bounds?.lowerBound ?? .max
        largest = bounds?.upperBound ?? 0
    }

    private func duration(_ nanoseconds: UInt64) -> Duration {
        .nanoseconds(Int64(clamping: nanoseconds))
    }

    /// In steps of a doubling, so that the array is not grown for every new largest value.
    private mutating func grow(to index: Int) {
        let size = (index / Self.perDoubling + 1) * Self.perDoubling
        counts.append(contentsOf: repeatElement(0, count: size - counts.count))
    }

    private static let perDoubling = 128

    /// A value below 256 is its own index. Otherwise its eight leading bits choose among the
    /// upper 128 indexes of its doubling.
    @inline(__always)
    static func index(of value: UInt64) -> Int {
        let shift = max(0, 56 - value.leadingZeroBitCount)
        return shift * perDoubling + Int(truncatingIfNeeded: value >> UInt64(shift))
    }

    /// The value in nanoseconds that stands for all of a bucket.
    static func middle(of index: Int) -> UInt64 {
        let shift = max(0, index / perDoubling - 1)
        let lowest = UInt64(index - shift * perDoubling) << UInt64(shift)
        return lowest + (1 << UInt64(shift)) / 2
    }
}
