import JSONCodec
import Pacing
import Testing

@testable import Telemetry

/// Histograms in result documents: what is written is read again exactly, and merged exactly.
@Suite struct HistogramJSONTests {
    private func json(_ histogram: LatencyHistogram) -> String {
        var writer = JSONWriter()
        histogram.write(to: &writer)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    private func read(_ text: String) throws -> LatencyHistogram {
        let result = Array(text.utf8).withUnsafeBytes {
            bytes -> Result<LatencyHistogram, JSONError> in
            var reader = JSONReader(bytes)
            do throws(JSONError) {
                let histogram = try LatencyHistogram(reading: &reader)
                try reader.endDocument()
                return .success(histogram)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    @Test("the document says all there is: layout, exact figures, and the buckets in use")
    func form() {
        var histogram = LatencyHistogram()
        for nanoseconds: Int64 in [255, 255, 1000] { histogram.record(nanoseconds: nanoseconds) }
        #expect(
            json(histogram)
                == #"{"layout":"log2x128-ns","count":3,"sumseconds":0,"sumnanoseconds":1510,"#
                + #""minns":255,"maxns":1000,"buckets":[[255,2],[506,1]]}"#)
        #expect(
            json(LatencyHistogram())
                == #"{"layout":"log2x128-ns","count":0,"sumseconds":0,"sumnanoseconds":0,"#
                + #""minns":null,"maxns":null,"buckets":[]}"#)
    }

    @Test("an index stands for the values that the layout's description names")
    func layout() {
        var random = SeededRandom(seed: 5)
        for _ in 0..<10_000 {
            let top = Int64(1) << Int64.random(in: 0..<63, using: &random)
            let value = UInt64(Int64.random(in: 0...top, using: &random))
            let index = LatencyHistogram.index(of: value)
            guard index >= 256 else {
                #expect(UInt64(index) == value)
                continue
            }
            let shift = UInt64(index / 128 - 1)
            let lowest = (UInt64(index) - 128 * shift) << shift
            #expect(lowest <= value && value < lowest + 1 << shift)
        }
    }

    @Test("what was written reads back equal, whatever was recorded", arguments: 0..<40)
    func roundTrip(seed: Int) throws {
        var random = SeededRandom(seed: UInt64(seed))
        var histogram = LatencyHistogram()
        for _ in 0..<(seed * 25) {
            let top = Int64(1) << Int64.random(in: 0..<62, using: &random)
            histogram.record(nanoseconds: .random(in: 0...top, using: &random))
        }
        if seed == 39 { for _ in 0..<9 { histogram.record(nanoseconds: .max) } }
        #expect(try read(json(histogram)) == histogram)
    }

    @Test("merging what was read is the histogram of all values, sum and mean included")
    func merge() throws {
        var random = SeededRandom(seed: 7)
        var parts = [LatencyHistogram](repeating: LatencyHistogram(), count: 5)
        var whole = LatencyHistogram()
        for _ in 0..<20_000 {
            let top = Int64(1) << Int64.random(in: 0..<62, using: &random)
            let value = Int64.random(in: 0...top, using: &random)
            let part = Int.random(in: 0..<4, using: &random)  // the last stays empty
            parts[part].record(nanoseconds: value)
            whole.record(nanoseconds: value)
        }
        var merged = LatencyHistogram()
        for part in parts.reversed() { merged.merge(try read(json(part))) }
        #expect(merged == whole)
        #expect(merged.mean == whole.mean)
        #expect(whole.sumHigh > 0, "the sum was meant to be longer than 64 bits")
    }

    @Test("the mean is exact where the sum of the values does not fit 64 bits")
    func mean() {
        var histogram = LatencyHistogram()
        for nanoseconds: Int64 in [.max, .max, .max, .max - 4] {
            histogram.record(nanoseconds: nanoseconds)
        }
        #expect(histogram.mean == .nanoseconds(Int64.max - 1))
    }

    @Test(
        "what contradicts itself, lacks a member or has another layout is refused, with the place",
        arguments: [
            (#""layout":"log2x128-ns""#, #""layout":"other""#, "the layout log2x128-ns"),
            (#""layout":"log2x128-ns","#, "", "layout is named"),
            (#""count":3"#, #""count":4"#, "count is the sum"),
            (#""count":3"#, #""count":-3"#, "at least zero"),
            (#""sumnanoseconds":1510"#, #""sumnanoseconds":99"#, "agree"),
            (#""sumnanoseconds":1510"#, #""sumnanoseconds":1000000000"#, "agree"),
            (#""sumnanoseconds":1510,"#, "", "agree"),
            (#""sumseconds":0"#, #""sumseconds":9223372036854775807"#, "agree"),
            (#""minns":255"#, #""minns":257"#, "agree"),
            (#""minns":255"#, #""minns":null"#, "agree"),
            (#""maxns":1000"#, #""maxns":1100"#, "agree"),
            ("[506,1]", "[255,1]", "above the last"),
            ("[506,1]", "[506,0]", "above the last"),
            ("[506,1]", "[506]", "above the last"),
            ("[506,1]", "[506,1,1]", "a pair"),
            ("[506,1]", "[99999999,1]", "above the last, up to 7295"),
            ("[255,2]", "[255,9223372036854775807],[300,9223372036854775807],[301,2]", "a smaller"),
            ("]]}", "]", "']'"),
        ])
    func refused(old: String, new: String, words: String) throws {
        var histogram = LatencyHistogram()
        for nanoseconds: Int64 in [255, 255, 1000] { histogram.record(nanoseconds: nanoseconds) }
        let text = json(histogram).replacing(old, with: new)
        #expect(text != json(histogram))
        let error = #expect(throws: JSONError.self) { try read(text) }
        #expect(error?.expected.contains(words) == true, "\(error.map { "\($0)" } ?? "accepted")")
    }

    @Test("members that a later version may add are skipped")
    func additions() throws {
        var histogram = LatencyHistogram()
        histogram.record(nanoseconds: 12)
        let text = json(histogram).replacing("{\"layout", with: "{\"new\":[{}],\"layout")
        #expect(try read(text) == histogram)
    }
}
