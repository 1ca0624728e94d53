import JSONCodec
import Pacing

/// A histogram as a part of a result document: every bucket, so that the results of several
/// processes can be merged exactly.
///
///     {"layout":"log2x128-ns","count":3,"sumseconds":0,"sumnanoseconds":1510,
///      "minns":255,"maxns":1000,"buckets":[[255,2],[506,1]]}
///
/// `buckets` has an index and a count for every bucket that is not empty, in ascending order. In
/// this layout index *i* below 256 stands for *i* nanoseconds; above, with *s* = *i* / 128 − 1, for
/// the 2^*s* values from (*i* − 128 *s*) · 2^*s* on. The sum is the two `sum…` members together;
/// the sum, the minimum and the maximum are exact. `minns` and `maxns` are null when `count` is 0.
extension LatencyHistogram {
    /// The name of the bucket layout, for which readers must look: others may come.
    public static let layout = "log2x128-ns"

    /// Writes the histogram as one JSON value.
    public func write(to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("layout", string: LatencyHistogram.layout)
        writer.member("count", integer: count)
        let sum = sumParts
        writer.member("sumseconds", integer: sum.seconds)
        writer.member("sumnanoseconds", integer: sum.nanoseconds)
        if let minimum, let maximum {
            writer.member("minns", integer: minimum.nanoseconds)
            writer.member("maxns", integer: maximum.nanoseconds)
        } else {
            writer.memberNull("minns")
            writer.memberNull("maxns")
        }
        writer.key("buckets")
        writer.beginArray()
        for (index, count) in buckets {
            writer.beginArray()
            writer.integer(index)
            writer.integer(count)
            writer.endArray()
        }
        writer.endArray()
        writer.endObject()
    }

    private var sumParts: (seconds: UInt64, nanoseconds: UInt64) {
        let second: UInt64 = 1_000_000_000
        guard sumHigh < second else { return (.max, 0) }
        let parts = second.dividingFullWidth((sumHigh, sumLow))
        return (parts.quotient, parts.remainder)
    }

    /// Reads what ``write(to:)`` wrote; members that it does not know are skipped.
    ///
    /// - Throws: when the layout is another, a member is missing, or the figures contradict one
    ///   another.
    public init(reading reader: inout JSONReader) throws(JSONError) {
        var parts = Parts()
        try reader.beginObject()
        let start = reader.valueOffset
        while let key = try reader.nextKey() { try parts.read(key, &reader) }
        guard let histogram = parts.histogram else {
            throw reader.error(
                expected: "a histogram whose \(parts.fault)", at: start)
        }
        self = histogram
    }

    /// The members of a document, as far as they have been read.
    private struct Parts {
        var count: UInt64?
        var seconds: UInt64 = 0
        var nanoseconds: UInt64?
        var smallest: UInt64?
        var largest: UInt64?
        var buckets: [(index: Int, count: UInt64)] = []
        var total: UInt64 = 0
        var hasLayout = false

        mutating func read(_ key: JSONText, _ reader: inout JSONReader) throws(JSONError) {
            if key.matches("layout") {
                guard try reader.readString().string == LatencyHistogram.layout else {
                    throw reader.error(expected: "the layout \(LatencyHistogram.layout)")
                }
                hasLayout = true
            } else if key.matches("count") {
                count = try whole(&reader)
            } else if key.matches("sumseconds") {
                seconds = try whole(&reader)
            } else if key.matches("sumnanoseconds") {
                nanoseconds = try whole(&reader)
            } else if key.matches("minns") {
                smallest = try reader.readNullIfPresent() ? nil : whole(&reader)
            } else if key.matches("maxns") {
                largest = try reader.readNullIfPresent() ? nil : whole(&reader)
            } else if key.matches("buckets") {
                try readBuckets(&reader)
            } else {
                try reader.skipValue()
            }
        }

        private func whole(_ reader: inout JSONReader) throws(JSONError) -> UInt64 {
            guard let value = UInt64(exactly: try reader.readInteger()) else {
                throw reader.error(expected: "a whole number of at least zero")
            }
            return value
        }

        private mutating func readBuckets(_ reader: inout JSONReader) throws(JSONError) {
            try reader.beginArray()
            while try reader.nextElement() {
                var pair: [UInt64] = []
                try reader.beginArray()
                while try reader.nextElement() {
                    guard pair.count < 2 else { throw reader.error(expected: "a pair") }
                    pair.append(try whole(&reader))
                }
                let highest = LatencyHistogram.index(of: UInt64(Int64.max))
                let lowest = buckets.last.map { $0.index + 1 } ?? 0
                guard pair.count == 2, let index = Int(exactly: pair[0]), index >= lowest,
                    index <= highest, pair[1] > 0
                else {
                    throw reader.error(
                        expected: "an index above the last, up to \(highest), and a count")
                }
                let (sum, overflow) = total.addingReportingOverflow(pair[1])
                guard !overflow else { throw reader.error(expected: "a smaller count") }
                total = sum
                buckets.append((index, pair[1]))
            }
        }

        /// Nil when a member is missing, or they contradict one another.
        var histogram: LatencyHistogram? {
            guard hasLayout, let count, count == total, let nanoseconds else { return nil }
            guard let smallest, let largest, let first = buckets.first, let last = buckets.last
            else {
                guard count == 0, seconds == 0, nanoseconds == 0, smallest == nil, largest == nil
                else { return nil }
                return LatencyHistogram()
            }
            guard smallest <= largest, LatencyHistogram.index(of: smallest) == first.index,
                LatencyHistogram.index(of: largest) == last.index, let sum, isPlausible(sum)
            else { return nil }
            return LatencyHistogram(
                buckets: buckets, count: count, sum: sum, bounds: smallest...largest)
        }

        /// What a document lacks for which ``histogram`` is nil.
        var fault: String {
            if !hasLayout { return "layout is named" }
            if count != total { return "count is the sum of its buckets" }
            return "sum, minimum and maximum agree with its buckets"
        }

        private var sum: (high: UInt64, low: UInt64)? {
            guard let nanoseconds, nanoseconds < 1_000_000_000 else { return nil }
            let (high, low) = seconds.multipliedFullWidth(by: 1_000_000_000)
            let (total, carries) = low.addingReportingOverflow(nanoseconds)
            return (high + (carries ? 1 : 0), total)
        }

        /// Whether the sum lies between that of the smallest and that of the largest values that
        /// the count allows.
        private func isPlausible(_ sum: (high: UInt64, low: UInt64)) -> Bool {
            guard let count, let smallest, let largest else { return false }
            let least = count.multipliedFullWidth(by: smallest)
            let most = count.multipliedFullWidth(by: largest)
            return (least.high, least.low) <= sum && sum <= (most.high, most.low)
        }
    }
}
