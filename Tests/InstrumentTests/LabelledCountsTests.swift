import Testing

@testable import Instrument

/// Names that peers chose, as labels.
@Suite struct LabelledCountsTests {
    private func text(_ counts: [(name: String, count: Int)], limit: Int) -> [String] {
        LabelledCounts(counts, limit: limit).entries.map { "\($0.label) \($0.count)" }
    }

    @Test(
        "the first names have labels of their own, the others share one; each label comes once",
        arguments: [
            ([], 2, []),
            ([("a", 1), ("b", 2)], 2, ["a 1", "b 2"]),
            ([("a", 1), ("b", 2), ("c", 3), ("d", 4)], 2, ["a 1", "b 2", "other 7"]),
            // Two names that read the same once bytes that are not UTF-8 have been replaced.
            ([("a", 1), ("\u{FFFD}", 2), ("\u{FFFD}", 5)], 2, ["a 1", "\u{FFFD} 7"]),
            ([("a", 1), ("b", 2), ("c", 3), ("a", 4)], 2, ["a 5", "b 2", "other 3"]),
            ([("other", 1), ("b", 2), ("c", 3)], 2, ["other 4", "b 2"]),
            ([("a", 1), ("b", 2), ("other", 3), ("c", 4)], 2, ["a 1", "b 2", "other 7"]),
        ] as [([(name: String, count: Int)], Int, [String])])
    func labels(counts: [(name: String, count: Int)], limit: Int, expected: [String]) {
        #expect(text(counts, limit: limit) == expected)
    }

    @Test("no label's count falls when names and counts are added")
    func monotone() {
        var counts: [(name: String, count: Int)] = []
        var before: [String: Int] = [:]
        for step in 0..<300 {
            counts.append(("pod-\(step)", 1))
            counts[step / 2].count += 3
            var now: [String: Int] = [:]
            for (label, count) in LabelledCounts(counts).entries { now[label] = count }
            for (label, count) in before { #expect((now[label] ?? 0) >= count) }
            #expect(now.values.reduce(0, +) == counts.reduce(0) { $0 + $1.count })
            before = now
        }
        #expect(before.count == LabelledCounts.limit + 1)
    }
}
