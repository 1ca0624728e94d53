import Pacing
import Telemetry
import Testing

@Suite struct HistogramTests {
    @Test("percentiles stay within half a percent of the exact ones, from nanoseconds to days")
    func relativeError() throws {
        var random = SeededRandom(seed: 99)
        var histogram = LatencyHistogram()
        var values: [Duration] = []
        for _ in 0..<50_000 {
            let magnitude = Int64.random(in: 0..<47, using: &random)
            let value = Duration.nanoseconds(Int64.random(in: 0...(1 << magnitude), using: &random))
            values.append(value)
            histogram.record(value)
        }
        let exact = Samples(values)
        for percent in [0, 0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100] {
            let theirs = try #require(exact.percentile(percent)).nanoseconds
            let ours = try #require(histogram.percentile(percent)).nanoseconds
            let allowed = Double(theirs) * LatencyHistogram.relativeError
            #expect(Double((ours - theirs).magnitude) <= allowed, "p\(percent)")
        }
        #expect(histogram.minimum == exact.minimum)
        #expect(histogram.maximum == exact.maximum)
        #expect(histogram.count == 50_000)
        let mean = try #require(exact.mean).inSeconds
        #expect(abs(try #require(histogram.mean).inSeconds - mean) <= mean * 1e-9)
    }

    @Test("below 256 nanoseconds every value is exact")
    func small() {
        for value in Int64(0)..<256 {
            var histogram = LatencyHistogram()
            for other in [0, value, 1000] { histogram.record(nanoseconds: other) }
            #expect(histogram.percentile(50) == .nanoseconds(value))
        }
    }

    @Test("every length of time that there is can be recorded")
    func extremes() {
        var histogram = LatencyHistogram()
        histogram.record(nanoseconds: .max)
        histogram.record(nanoseconds: -5)
        histogram.record(.seconds(Int64.max))
        let nearly = Double(Int64.max) * (1 - LatencyHistogram.relativeError)
        #expect(histogram.minimum == .zero)
        #expect(histogram.maximum == .nanoseconds(Int64.max))
        #expect(Double(histogram.percentile(50)?.nanoseconds ?? 0) >= nearly)
        #expect(histogram.count == 3)
    }

    @Test("merged histograms are the histogram of all values")
    func merge() {
        var random = SeededRandom(seed: 12)
        var parts = Array(repeating: LatencyHistogram(), count: 3)
        var whole = LatencyHistogram()
        for round in 0..<3000 {
            // The parts reach different heights, so that either side of a merge is the longer one.
            let limit = Int64(1) << (10 + 15 * Int64(round % 3))
            let value = Int64.random(in: 0...limit, using: &random)
            parts[round % 3].record(nanoseconds: value)
            whole.record(nanoseconds: value)
        }
        var merged = parts[1]
        merged.merge(parts[2])
        merged.merge(parts[0])
        merged.merge(LatencyHistogram())
        for percent in stride(from: 0.0, through: 100, by: 2.5) {
            #expect(merged.percentile(percent) == whole.percentile(percent))
        }
        #expect(merged.count == whole.count)
        #expect(merged.minimum == whole.minimum)
        #expect(merged.maximum == whole.maximum)
    }

    @Test("values above a bound are counted to the bucket")
    func above() {
        var histogram = LatencyHistogram()
        for milliseconds in 1...100 { histogram.record(.milliseconds(milliseconds)) }
        #expect(histogram.count(above: .milliseconds(90)) == 10)
        #expect(histogram.count(above: .milliseconds(200)) == 0)
        #expect(histogram.count(above: .milliseconds(-1)) == 100)
    }

    @Test("an empty histogram and an empty set of samples have no percentiles")
    func empty() {
        #expect(LatencyHistogram().percentile(50) == nil)
        #expect(LatencyHistogram().minimum == nil)
        #expect(LatencyHistogram().mean == nil)
        #expect(Samples([]).percentile(50) == nil)
        #expect(Samples([]).mean == nil)
    }

    @Test("exact percentiles are by nearest rank")
    func nearestRank() {
        let five = Samples([15, 20, 35, 40, 50].shuffled().map { Duration.seconds($0) })
        #expect(five.percentile(5) == .seconds(15))
        #expect(five.percentile(30) == .seconds(20))
        #expect(five.percentile(40) == .seconds(20))
        #expect(five.percentile(50) == .seconds(35))
        #expect(five.percentile(100) == .seconds(50))
        #expect(five.percentile(-3) == .seconds(15))
        #expect(five.percentile(250) == .seconds(50))
        #expect(five.mean == .seconds(32))
        let thousand = Samples((1...1000).map { Duration.seconds($0) })
        #expect(thousand.percentile(99.9) == .seconds(999))
        #expect(thousand.percentile(99) == .seconds(990))
        #expect(thousand.percentile(0.1) == .seconds(1))
        #expect(thousand.percentile(99.91) == .seconds(1000))
    }

    @Test("in fixed buckets: count and sum are exact, a bound is exact within the relative error")
    func fixedBuckets() {
        var random = SeededRandom(seed: 5)
        let bounds = BucketHistogram.requestSeconds
        var histogram = LatencyHistogram()
        var values: [Int64] = []
        var before = BucketHistogram(upperBounds: bounds)
        for _ in 0..<5000 {
            let magnitude = Int64.random(in: 0..<40, using: &random)
            values.append(Int64.random(in: 0...(1 << magnitude), using: &random))
            histogram.record(nanoseconds: values[values.count - 1])
            guard values.count % 500 == 0 else { continue }
            let fixed = BucketHistogram(histogram, upperBounds: bounds)
            #expect(fixed.count == UInt64(values.count))
            #expect(abs(fixed.sum - Double(values.reduce(0, +)) / 1e9) <= fixed.sum * 1e-12)
            #expect(zip(fixed.counts, before.counts).allSatisfy { $0 >= $1 }, "a count has fallen")
            var below: UInt64 = 0
            for (bound, count) in zip(bounds, fixed.counts) {
                below += count
                let near = [1 - LatencyHistogram.relativeError, 1 + LatencyHistogram.relativeError]
                    .map { factor in
                        UInt64(values.count { Double($0) / 1e9 <= bound * factor })
                    }
                #expect((near[0]...near[1]).contains(below), "le \(bound)")
            }
            before = fixed
        }
        #expect(before.counts.allSatisfy { $0 > 0 })
    }

    @Test("in fixed buckets: nothing is nothing, and what lies above all bounds has its bucket")
    func fixedBucketsAtTheEnds() {
        let nothing = BucketHistogram(LatencyHistogram(), upperBounds: [1, 2])
        #expect(nothing.counts == [0, 0, 0] && nothing.sum == 0)
        var histogram = LatencyHistogram()
        for seconds in [0, 1.5, 9, 9e9] { histogram.record(.seconds(seconds)) }
        let fixed = BucketHistogram(histogram, upperBounds: [1, 2])
        #expect(fixed.counts == [1, 1, 2])
        // Together more nanoseconds than 63 bits hold.
        histogram.record(.seconds(9e9))
        histogram.record(.seconds(9e9))
        let sum = BucketHistogram(histogram, upperBounds: [1, 2]).sum
        #expect(abs(sum - 27_000_000_010.5) < 1e-3)
    }

    @Test("delays of our own explain a tail from a tenth of it on, and none explain nothing")
    func ownDelays() {
        func explains(_ own: Int64?, _ measured: Int64?) -> Bool {
            var histograms = [LatencyHistogram(), LatencyHistogram()]
            for (index, value) in [own, measured].enumerated() {
                if let value { histograms[index].record(.nanoseconds(value)) }
            }
            return histograms[0].explainsTail(of: histograms[1])
        }
        #expect(explains(10, 100) && explains(10, 0))
        #expect(!explains(9, 100) && !explains(0, 0) && !explains(nil, 5) && !explains(5, nil))
    }
}
