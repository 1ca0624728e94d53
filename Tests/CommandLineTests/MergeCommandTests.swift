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
            + #""connectms":{"histogram":\#(histogram)},"owndelayms":{"histogram":\#(histogram)},"#
            + #""unsent":0,"failures":{"refused":2},"localfailures":{},"#
            + #""pods":[{"name":"\#(pod)","count":\#(count),"fair":1,"connections":1}]}"#
    }

    private func withFiles(
        _ contents: [String: String], _ body: (_ folder: String) throws -> Void
    ) throws {
        let folder = try Folder()
        for (name, text) in contents { try folder.file(name, text) }
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

    @Test("--expect notices a missing result, and one too many: written all the same, exit code 1")
    func expected() throws {
        let contents = ["a": longLived(30, pod: "x"), "b": longLived(10, pod: "y")]
        try withFiles(contents) { folder in
            let files = [folder + "/a", folder + "/b"]
            let whole = try Program.run(["merge", "--expect", "2"] + files)
            #expect(whole.code == 0, "\(whole.errors)")
            for expected in ["3", "1"] {
                let outcome = try Program.run(["merge", "--expect", expected] + files)
                #expect(outcome.code == 1)
                #expect(outcome.output == whole.output)
                #expect(
                    outcome.errors.split(separator: "\n").last
                        == "sonde: 2 results came, \(expected) were expected", "\(outcome.errors)")
            }
            // A merged document counts as the results that are in it.
            let merged = folder + "/merged"
            try Data(whole.output.utf8).write(to: URL(fileURLWithPath: merged))
            #expect(try Program.run(["merge", "--expect=3", merged, files[0]]).code == 0)
            for wrong in ["0", "-1", "many"] {
                let outcome = try Program.run(["merge", "--expect=\(wrong)"] + files)
                #expect(outcome.code == 64 && outcome.output.isEmpty)
                #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
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

    // MARK: - What the instruments really write

    private func object(_ text: Data) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
    }

    private func integer(_ object: [String: Any], _ path: String...) -> Int? {
        var value: Any? = object
        for key in path { value = (value as? [String: Any])?[key] }
        return value as? Int
    }

    /// Runs `arguments` twice with `--json`, merges, and hands over the three documents.
    private func mergeTwoRuns(
        _ arguments: [[String]],
        _ body: (_ runs: [[String: Any]], _ merged: [String: Any]) throws -> Void
    ) throws {
        try withFiles([:]) { folder in
            let files = arguments.indices.map { "\(folder)/\($0).json" }
            for (arguments, file) in zip(arguments, files) {
                let outcome = try Program.run(arguments + ["--json", file])
                #expect(outcome.code == 0, "\(outcome.errors)")
            }
            let outcome = try Program.run(["merge"] + files)
            #expect(outcome.code == 0, "\(outcome.errors)")
            let runs = try files.map { try object(Data(contentsOf: URL(fileURLWithPath: $0))) }
            let merged = try object(Data(outcome.output.utf8))
            for run in runs { expectNothingLost(run, merged) }
            try body(runs, merged)
        }
    }

    /// Every member is in the merged document, or named as one that is not.
    private func expectNothingLost(_ run: [String: Any], _ merged: [String: Any]) {
        let omitted = merged["notmerged"] as? [String] ?? []
        for (key, value) in run {
            let isNamed = omitted.contains(key)
            #expect((merged[key] != nil) != isNamed, "\(key)")
            if isNamed { continue }
            if let members = value as? [String: Any] {
                let mergedMembers = merged[key] as? [String: Any] ?? [:]
                for name in members.keys { #expect(mergedMembers[name] != nil, "\(key).\(name)") }
            }
            for element in value as? [[String: Any]] ?? [] {
                let first = (merged[key] as? [[String: Any]])?.first ?? [:]
                for name in element.keys {
                    let isNamed = omitted.contains("\(key).\(name)")
                    #expect((first[name] != nil) != isNamed, "\(key).\(name)")
                }
            }
        }
    }

    /// What the merged document must have as the sum of both.
    private func expectSums(
        _ runs: [[String: Any]], _ merged: [String: Any], _ names: [String]
    ) throws {
        for name in names {
            let parts = try runs.map { try #require(integer($0, name), "\(name)") }
            #expect(integer(merged, name) == parts.reduce(0, +), "\(name)")
        }
    }

    @Test("two real runs of the long-lived client add up, and nothing of them is lost in silence")
    func realLongLived() throws {
        let server = try Running(
            ["longlived", "server", "--listen", "127.0.0.1:0", "--pod-id", "pod-x"])
        defer { server.terminate() }
        let line = try #require(server.awaitLog(" listens on "))
        let address = try #require(line.split(separator: " ").last)
        let run = ["longlived", "client", "http://\(address)/", "--quiet", "--think", "0"]
        try mergeTwoRuns([
            run + ["--connections", "3", "--requests", "70"],
            run + ["--connections", "5", "--requests", "31"],
        ]) { runs, merged in
            try expectSums(
                runs, merged,
                [
                    "connections", "open", "opened", "reconnects", "closedidle", "sent",
                    "answered", "lost", "unanswered", "peakinflight",
                ])
            #expect(integer(merged, "answered") == 101 && integer(merged, "merged") == 2)
            #expect(integer(merged, "latencyms", "histogram", "count") == 101)
            #expect(integer(merged, "connectms", "histogram", "count") == 8)
            let pods = try #require(merged["pods"] as? [[String: Any]])
            #expect(pods.count == 1 && pods[0]["name"] as? String == "pod-x")
            #expect(pods[0]["count"] as? Int == 101 && pods[0]["share"] as? Double == 1)
            #expect(merged["jain"] as? Double == 1)
            let largest = runs.compactMap { ($0["latencyms"] as? [String: Any])?["max"] as? Double }
                .max()
            #expect((merged["latencyms"] as? [String: Any])?["max"] as? Double == largest)
        }
    }

    @Test("two real runs of the reload bench add up, and nothing of them is lost in silence")
    func realBench() throws {
        let backend = try Running(
            ["reload", "backend", "pod-x", "0", "--listen-address", "127.0.0.1"])
        defer { backend.terminate() }
        let line = try #require(backend.awaitLog(" listens on "))
        let address = try #require(line.split(separator: " ").last)
        let run = ["reload", "bench", "http://\(address)/", "--quiet", "--csv", "/dev/null"]
        try mergeTwoRuns([
            run + ["--clients", "3", "--requests", "70"],
            run + ["--clients", "5", "--requests", "31", "--event", "0s=true"],
        ]) { runs, merged in
            try expectSums(
                runs, merged,
                [
                    "clients", "requests", "success", "failure", "frontchanged", "backchanged",
                    "notnamed", "unsent", "givenup", "local",
                ])
            let requests = try #require(integer(merged, "requests"))
            #expect(requests >= 101 && integer(merged, "success") == requests)
            #expect(integer(merged, "latency", "histogram", "count") == requests)
            #expect(integer(merged, "latency", "count") == requests)
            let instances = try #require(merged["instances"] as? [[String: Any]])
            #expect(instances.count == 1 && instances[0]["answers"] as? Int == requests)
            #expect(instances[0]["name"] as? String == "pod-x")
        }
    }
}
