import JSONCodec
import Pacing
import Telemetry
import Testing

@testable import Result

/// Several results of one kind become one.
@Suite struct ResultMergeTests {
    /// Made anew each time: boxes of an indirect enum are reached through marked pointers, which
    /// the leak checker does not know, so that it would take a constant's for lost.
    private static var table: ResultTable {
        ResultTable(
            kind: "test",
            members: [
                .init("target", .same), .init("mode", .agreed), .init("sent", .sum),
                .init("rate", .sum), .init("elapsedms", .largest), .init("failures", .sums),
                .init("latency", .histogram([("n", .count), ("p50", .percentile(50))])),
                .init("jain", .jainIndex(array: "pods", count: "count", fair: "fair")),
                .init("imbalance", .imbalance(array: "pods", count: "count", fair: "fair")),
                .init(
                    "pods",
                    .keyed(
                        by: "name",
                        [
                            .init("count", .sum), .init("share", .share(of: "count")),
                            .init("fair", .largest),
                        ])),
            ],
            columns: [.init("sent", "sent"), .init("p50", "latency", "p50")],
            shares: .init(array: "pods", key: "name", count: "count"))
    }

    private func merge() -> ResultMerge {
        ResultMerge(tables: [
            Self.table, ResultTable(kind: "other", members: [], columns: []),
        ])
    }

    /// A document with these values recorded, and one pod's answers by name.
    private func document(
        sent: Int, latencies: [Int64], pods: [(String, Int)], extra: String = ""
    ) -> String {
        var histogram = LatencyHistogram()
        for value in latencies { histogram.record(nanoseconds: value) }
        var writer = JSONWriter()
        histogram.write(to: &writer)
        let list = pods.map {
            #"{"name":"\#($0.0)","count":\#($0.1),"share":0,"fair":1,"firstms":1}"#
        }
        return #"{"kind":"test","target":"t","mode":"a","sent":\#(sent),"rate":1.5,"#
            + #""elapsedms":\#(sent).5,"failures":{"refused":\#(sent),"p\#(sent)":1},"#
            + #""latency":{"n":0,"p50":3,"histogram":"#
            + String(decoding: writer.bytes, as: UTF8.self)
            + #"},"jain":0,"imbalance":0,"pods":["# + list.joined(separator: ",") + "]\(extra)}"
    }

    private func add(_ text: String, _ name: String, to merge: inout ResultMerge) throws {
        try Array(text.utf8).withUnsafeBytes { try merge.add($0, name: name) }
    }

    private func value(_ merge: ResultMerge, _ path: String...) -> ResultValue? {
        path.reduce(merge.document) { $0?[$1] }
    }

    @Test("counters are added, histograms united, shares and indexes computed anew")
    func exact() throws {
        var merge = merge()
        var union = LatencyHistogram()
        let values = [[5, 1000, 77_777], [900, 1_000_000], []] as [[Int64]]
        for value in values.joined() { union.record(nanoseconds: value) }
        let pods = [[("a", 30), ("b", 10)], [("b", 20)], [("c", 0)]]
        for (index, latencies) in values.enumerated() {
            try add(
                document(sent: index + 1, latencies: latencies, pods: pods[index]), "\(index)",
                to: &merge)
        }
        #expect(value(merge, "merged") == .integer(3))
        #expect(value(merge, "sent") == .integer(6))
        #expect(value(merge, "rate") == .number(4.5))
        #expect(value(merge, "elapsedms") == .number(3.5))
        #expect(value(merge, "failures", "refused") == .integer(6))
        #expect(value(merge, "failures", "p2") == .integer(1))
        #expect(value(merge, "latency", "histogram") == .histogram(union))
        #expect(value(merge, "latency", "n") == .integer(5))
        #expect(value(merge, "latency", "p50") == .number(0.001002))
        let expected = [("a", 30, 0.5), ("b", 30, 0.5), ("c", 0, 0)].map { name, count, share in
            ResultValue.object([
                .init(key: "name", value: .string(name)),
                .init(key: "count", value: .integer(Int64(count))),
                .init(key: "share", value: .number(share)),
                .init(key: "fair", value: .integer(1)),
            ])
        }
        #expect(value(merge, "pods") == .array(expected))
        // Each saw one or two of the three: a fair share is a third all the same.
        #expect(value(merge, "jain") == .number(3600.0 / (3 * 1800)))
        #expect(value(merge, "imbalance") == .number(1.5))
    }

    @Test("a merged result may be merged again: in whatever groups, the same comes out")
    func groups() throws {
        let documents = (1...4).map {
            document(
                sent: $0, latencies: [Int64($0) * 1000, 44], pods: [("p\($0 % 2)", $0)],
                extra: #","series":[\#($0)]"#)
        }
        var all = merge()
        for document in documents { try add(document, "x", to: &all) }
        var groups = merge()
        for group in [documents[..<1], documents[1...]] {
            var part = merge()
            for document in group { try add(document, "x", to: &part) }
            try add(String(decoding: part.json, as: UTF8.self), "part", to: &groups)
        }
        #expect(groups.json == all.json)
        #expect(
            value(all, "notmerged") == .array([.string("pods.firstms"), .string("series")]))
    }

    @Test("what is not known in one result is not known in all; what differs is not claimed")
    func unknown() throws {
        var merge = merge()
        let first = document(sent: 1, latencies: [], pods: [])
        try add(first.replacing("\"rate\":1.5", with: "\"rate\":null"), "a", to: &merge)
        let second = first.replacing("\"mode\":\"a\"", with: "\"mode\":\"b\"")
        try add(second.replacing("\"elapsedms\":1.5", with: "\"elapsedms\":null"), "b", to: &merge)
        try add(first, "c", to: &merge)
        #expect(value(merge, "rate") == .null)
        #expect(value(merge, "mode") == .null)
        #expect(value(merge, "elapsedms") == .null)
        #expect(value(merge, "latency", "p50") == .null)
        #expect(value(merge, "jain") == .null)
        #expect(value(merge, "sent") == .integer(3))
    }

    @Test(
        "what cannot be merged is refused in one line, and changes nothing",
        arguments: [
            ("\"kind\":\"test\"", "\"kind\":\"other\"", "of the kind 'other', but good", true),
            ("\"kind\":\"test\"", "\"kind\":\"what\"", "kind 'what' cannot be merged", false),
            ("\"kind\":\"test\"", "\"kind\":1", "no member 'kind'", false),
            ("\"target\":\"t\"", "\"target\":\"u\"", "'target' is 'u', unlike good", true),
            ("\"sent\":1,", "", "lacks 'sent'", false),
            ("\"sent\":1,", "\"sent\":-1,", "'sent' is -1: expected", false),
            ("\"sent\":1,", "\"sent\":9223372036854775807,", "a smaller number", false),
            ("\"sent\":1,", "\"sent\":1e999,", "not infinite", false),
            ("\"elapsedms\":1.5", "\"elapsedms\":[]", "'elapsedms' is an array", false),
            ("\"refused\":1", "\"refused\":\"x\"", "'failures.refused' is 'x'", false),
            ("\"histogram\":", "\"other\":", "lacks 'latency.histogram'", false),
            ("\"count\":1,\"sum", "\"count\":2,\"sum", "count is the sum", false),
            ("[{\"name\":\"a\"", "[{\"name\":7", "the string 'name'", false),
            ("\"count\":3,", "", "lacks 'pods.count'", false),
            ("\"pods\":[", "\"pods\":[[", "not a whole JSON document: byte ", false),
            ("]}", "]", "the end of the document", false),
            ("{\"kind\"", "7 {\"kind\"", "not a whole JSON document", false),
        ])
    func refused(old: String, new: String, words: String, isMismatch: Bool) throws {
        let good = document(sent: 1, latencies: [1000], pods: [("a", 3)])
        let bad = good.replacing(old, with: new)
        #expect(bad != good)
        var merge = merge()
        try add(good, "good", to: &merge)
        let before = merge.json
        let error = #expect(throws: ResultMerge.Refusal.self) { try add(bad, "bad", to: &merge) }
        let line = error.map { "\($0)" } ?? "accepted"
        #expect(line.hasPrefix("bad: ") && line.contains(words) && !line.contains("\n"), "\(line)")
        #expect(error?.isMismatch == isMismatch)
        #expect(merge.json == before)
    }

    @Test("people see the main figures of each and of all, the shares, and what is missing")
    func table() throws {
        var merge = merge()
        try add(document(sent: 1, latencies: [200], pods: [("a", 1)]), "one", to: &merge)
        try add(
            document(sent: 20, latencies: [100, 100], pods: [("b", 3)], extra: #","x":1"#), "two",
            to: &merge)
        #expect(
            merge.text == """
                       sent    p50
                one       1      3
                two      20      3
                all 2    21  0.000

                   count   share
                b      3  75.0 %
                a      1  25.0 %
                Jain's index 0.800, largest over mean 1.500

                not merged: pods.firstms, x

                """)
    }

    @Test("nothing merged is an empty object and no table")
    func nothing() {
        #expect(merge().json == Array("{}\n".utf8))
        #expect(merge().text.isEmpty)
    }
}
