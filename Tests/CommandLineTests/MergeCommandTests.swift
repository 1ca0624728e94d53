import Foundation
import Testing

/// `sonde merge` as a person or a script uses it.
@Suite struct MergeCommandTests {
    /// A result of the long-lived client in which `count` answers took 100 ns each.
    private func longLived(_ count: Int, pod: String) -> String {
        let histogram =
            #"{"layout":"log2x128-ns","count":\#(count),"sumseconds":0,"#
            + #""sumnanoseconds":\#(count * 100),"minns":100,"maxns":100,"#
            + #""buckets":[[100,\#(count)]]}"#
        return #"{"kind":"longlived-client","target":"http://a:1","connections":\#(count),"#
            + #""seed":1,"elapsedms":5,"open":0,"opened":0,"reconnects":0,"closedidle":0,"#
            + #""sent":\#(count),"answered":\#(count),"lost":0,"unanswered":0,"#
            + #""peakinflight":1,"allopenms":null,"latencyms":{"histogram":\#(histogram)},"#
            + #""connectms":{"histogram":\#(histogram)},"failures":{"refused":2},"#
            + #""pods":[{"name":"\#(pod)","count":\#(count),"connections":1}]}"#
    }

    private func withFiles(
        _ contents: [String: String], _ body: (_ folder: String) throws -> Void
    ) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("sonde-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in contents {
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        try body(folder.path)
    }

    @Test("results of several pods become one on standard output, with a table beside it")
    func merges() throws {
        let contents = ["a": longLived(30, pod: "x"), "b": longLived(10, pod: "y")]
        try withFiles(contents) { folder in
            let outcome = try Program.run(["merge", folder + "/a", folder + "/b"])
            #expect(outcome.code == 0, "\(outcome.errors)")
            let json = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8))
            let merged = try #require(json as? [String: Any])
            #expect(merged["kind"] as? String == "longlived-client")
            #expect(merged["merged"] as? Int == 2 && merged["answered"] as? Int == 40)
            #expect((merged["failures"] as? [String: Int]) == ["refused": 4])
            let latency = try #require(merged["latencyms"] as? [String: Any])
            let histogram = try #require(latency["histogram"] as? [String: Any])
            #expect(histogram["buckets"] as? [[Int]] == [[100, 40]])
            #expect(latency["p99"] as? Double == 0.0001)
            #expect(merged["jain"] as? Double == 0.8)
            for text in ["all 2", "Jain's index 0.800", "75.0 %", "not merged: seed"] {
                #expect(outcome.errors.contains(text), "\(outcome.errors)")
            }
        }
    }

    @Test("what cannot be merged is one line, and exit code 64 or 66")
    func refuses() throws {
        let good = longLived(3, pod: "x")
        let contents = [
            "good": good, "cut": String(good.prefix(good.count / 2)), "empty": "",
            "garbage": "\u{7F}ELF", "unknown": #"{"kind":"weather"}"#, "bare": #"{"answered":1}"#,
            "bench": #"{"kind":"reload-bench"}"#,
            "elsewhere": good.replacingOccurrences(of: "http://a:1", with: "http://b:1"),
        ]
        try withFiles(contents) { folder in
            for (names, code, words) in [
                (["good", "missing"], Int32(66), "/missing: no such file"),
                (["good", ""], 66, "directory"), (["cut"], 66, "/cut: not a whole JSON document"),
                (["empty"], 66, "/empty: not a whole JSON"), (["good", "garbage"], 66, "byte 0"),
                (["unknown"], 66, "kind 'weather' cannot be merged"),
                (["bare"], 66, "no member 'kind'"), (["bench"], 66, "lacks 'url'"),
                (["good", "bench"], 64, "of the kind 'reload-bench', but"),
                (["good", "elsewhere"], 64, "'target' is 'http://b:1', unlike"),
                ([], 64, "<file>"),
            ] {
                let outcome = try Program.run(["merge"] + names.map { folder + "/" + $0 })
                #expect(outcome.code == code, "\(names): \(outcome.errors)")
                #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
                #expect(outcome.errors.contains(words), "\(names): \(outcome.errors)")
                #expect(outcome.output.isEmpty)
            }
        }
        // The tests' programs have no standard input.
        let nothing = try Program.run(["merge", "-"])
        #expect(nothing.code == 66 && nothing.errors.contains("standard input: not a whole JSON"))
    }
}
