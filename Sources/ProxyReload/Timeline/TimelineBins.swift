/// The test in equal steps of time: what a chart draws. Bounded: when the last bin is full, each
/// two become one of twice the width.
public struct TimelineBins: Sendable {
    /// No more bins than this.
    public static let limit = 1200
    /// The width of the first bins, in nanoseconds: 20 ms.
    public static let firstWidthNanoseconds: Int64 = 20_000_000
    /// Instances with a count of their own, by number; the rest shares the last place.
    public static let instanceLimit = 32
    /// By how much a percentile of a bin may differ from its value, as a share of it.
    public static let relativeError = 1.0 / 32

    /// Latencies of a bin: 16 buckets a doubling from 256 ns to 70 s.
    static let bucketsPerDoubling = 16
    static let lowestDoubling = 8
    static let bucketCount = 28 * bucketsPerDoubling

    /// One bin, but for its latencies and its instances.
    public struct Bin: Equatable, Sendable {
        /// Rows.
        public internal(set) var requests = 0
        /// Rows with a response, whatever its status.
        public internal(set) var answers = 0
        /// Rows that are held against the target.
        public internal(set) var failures = 0
        /// Rows of requests that this machine could not send.
        public internal(set) var locals = 0
        /// See `TimelinePeriod.frontChanges`.
        public internal(set) var frontChanges = 0
        /// See `TimelinePeriod.backChanges`.
        public internal(set) var backChanges = 0
        /// Of the answered requests; exact, in nanoseconds.
        public internal(set) var largestLatencyNanoseconds: Int64 = 0
    }

    /// The width of every bin, in nanoseconds; the first begins with the test.
    public private(set) var widthNanoseconds = TimelineBins.firstWidthNanoseconds
    /// Up to the last in which a request ended.
    public private(set) var bins: [Bin] = []
    private var instances: [UInt32] = []
    private var latencies: [UInt32] = []

    init() {}

    /// Responses of one instance in one bin; of all instances beyond `instanceLimit` for a number
    /// at or beyond it.
    public func requests(bin: Int, instance: UInt16) -> Int {
        guard bins.indices.contains(bin) else { return 0 }
        let place = min(Int(instance), Self.instanceLimit)
        return Int(instances[bin * (Self.instanceLimit + 1) + place])
    }

    /// A percentile (0 to 100) of the latencies in some bins, in nanoseconds, within
    /// `relativeError`; nil where nothing was answered.
    public func latencyNanoseconds(bins range: Range<Int>, percent: Double) -> Int64? {
        let range = range.clamped(to: bins.indices)
        var buckets = [Int](repeating: 0, count: Self.bucketCount)
        for bin in range {
            for bucket in buckets.indices {
                buckets[bucket] += Int(latencies[bin * Self.bucketCount + bucket])
            }
        }
        let count = buckets.reduce(0, +)
        guard count > 0 else { return nil }
        let largest = bins[range].reduce(0) { max($0, $1.largestLatencyNanoseconds) }
        let exact = Double(count) * min(max(percent, 0), 100) / 100
        let rank = max(1, Int((exact - exact * 1e-12).rounded(.up)))
        var seen = 0
        for (index, here) in buckets.enumerated() {
            seen += here
            if seen >= rank { return min(Self.middle(of: index), largest) }
        }
        return largest
    }

    @inline(__always)
    mutating func record(_ row: RequestRecord, frontChanged: Bool, backChanged: Bool) {
        var bin = Int(max(row.nanoseconds, 0) / widthNanoseconds)
        if bin >= bins.count { bin = grow(to: row.nanoseconds) }
        bins[bin].requests &+= 1
        if row.outcome.isFailure { bins[bin].failures &+= 1 }
        if row.outcome.isLocal { bins[bin].locals &+= 1 }
        if frontChanged { bins[bin].frontChanges &+= 1 }
        if backChanged { bins[bin].backChanges &+= 1 }
        if row.outcome.isAnswered {
            bins[bin].answers &+= 1
            let latency = row.latencyNanoseconds
            if latency > bins[bin].largestLatencyNanoseconds {
                bins[bin].largestLatencyNanoseconds = latency
            }
            latencies[bin &* Self.bucketCount &+ Self.bucket(of: latency)] &+= 1
        }
        if let instance = row.instance {
            let place = min(Int(instance), Self.instanceLimit)
            instances[bin &* (Self.instanceLimit &+ 1) &+ place] &+= 1
        }
    }

    /// Makes room for the bin of a moment, and returns its place.
    private mutating func grow(to nanoseconds: Int64) -> Int {
        while nanoseconds / widthNanoseconds >= Int64(Self.limit) { halve() }
        let bin = Int(nanoseconds / widthNanoseconds)
        let missing = bin + 1 - bins.count
        guard missing > 0 else { return bin }
        bins.append(contentsOf: repeatElement(Bin(), count: missing))
        instances.append(
            contentsOf: repeatElement(0, count: missing * (Self.instanceLimit + 1)))
        latencies.append(contentsOf: repeatElement(0, count: missing * Self.bucketCount))
        return bin
    }

    /// Twice the width, half the bins.
    private mutating func halve() {
        widthNanoseconds *= 2
        let count = (bins.count + 1) / 2
        for bin in 0..<count {
            var sum = bins[2 * bin]
            if 2 * bin + 1 < bins.count {
                let other = bins[2 * bin + 1]
                sum.requests += other.requests
                sum.answers += other.answers
                sum.failures += other.failures
                sum.locals += other.locals
                sum.frontChanges += other.frontChanges
                sum.backChanges += other.backChanges
                sum.largestLatencyNanoseconds = max(
                    sum.largestLatencyNanoseconds, other.largestLatencyNanoseconds)
            }
            bins[bin] = sum
        }
        Self.halve(&instances, Self.instanceLimit + 1, bins.count)
        Self.halve(&latencies, Self.bucketCount, bins.count)
        bins.removeLast(bins.count - count)
    }

    private static func halve(_ table: inout [UInt32], _ width: Int, _ rows: Int) {
        for row in 0..<(rows + 1) / 2 {
            for column in 0..<width {
                var sum = table[2 * row * width + column]
                if 2 * row + 1 < rows { sum &+= table[(2 * row + 1) * width + column] }
                table[row * width + column] = sum
            }
        }
        table.removeLast(table.count - (rows + 1) / 2 * width)
    }

    @inline(__always)
    static func bucket(of nanoseconds: Int64) -> Int {
        let value = UInt64(max(nanoseconds, 1 << Int64(lowestDoubling)))
        let doubling = 63 &- value.leadingZeroBitCount
        let step = Int(truncatingIfNeeded: value >> UInt64(doubling &- 4)) & 15
        return min((doubling &- lowestDoubling) &* bucketsPerDoubling &+ step, bucketCount - 1)
    }

    static func middle(of bucket: Int) -> Int64 {
        let doubling = bucket / bucketsPerDoubling + lowestDoubling
        let width = Int64(1) << Int64(doubling - 4)
        return Int64(1) << Int64(doubling) + Int64(bucket % bucketsPerDoubling) * width + width / 2
    }
}
