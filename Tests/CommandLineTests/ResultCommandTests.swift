import Foundation
import Testing

/// `--json`, `--csv`, `--fail-on`, `sonde show`, `sonde merge` and `sonde schema` on real runs.
@Suite struct ResultCommandTests {
    /// A target of ours, for as many clients as a test needs.
    private struct Target {
        private let running: Running
        private let address: String

        init() throws {
            running = try Running([
                "egw", "external-target", "--listen-address", "127.0.0.1", "--listen-port", "0",
                "--allowed-cidr", "127.0.0.0/8",
            ])
            let line = try #require(running.awaitLog("Listening for new connections on "))
            address = String(
                try #require(line.split(separator: "on ").last?.split(separator: ",").first))
        }

        /// A client that is answered, and ended.
        func measure(_ flags: [String]) throws -> Program.Outcome {
            let client = try Running(
                [
                    "egw", "client", "--external-target-addr", address, "--listen", "127.0.0.1:0",
                ] + flags, environment: ["POD_NAME": "pod-7"])
            _ = client.awaitLog("masquerade delay")
            client.terminate()
            return client.finish()
        }
    }

    private func decoded(_ path: String) throws -> [String: Any] {
        let data = try Data(contentsOf: URL(fileURLWithPath: path))
        return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
    }

    @Test("a run is written, shown, compared and merged, but not with itself")
    func roundTrip() throws {
        let folder = try Folder()
        let files = ["a", "b"].map { "\(folder.path)/\($0).json" }
        let target = try Target()
        for file in files {
            let outcome = try target.measure(["--json", file, "--csv", file + ".csv"])
            #expect(outcome.code == 0, "\(outcome.errors)")
        }
        let one = try decoded(files[0])
        let run = try #require((one["runs"] as? [[String: Any]])?.first)
        #expect(run["host"] as? String == "pod-7")
        let figures = try #require(one["figures"] as? [String: Any])
        let delay = try #require((figures["delayms"] as? [String: Any])?["value"] as? Double)
        #expect(delay > 0 && figures["answered"] as? Int == 1)

        let table = try Program.run(["show", files[0]])
        #expect(table.code == 0 && table.output.contains("pod-7"), "\(table.errors)")
        let pair = try Program.run(["show"] + files)
        #expect(pair.output.contains("ratio"), "\(pair.output)")
        let same = try Program.run(["show", "--format", "json", files[0]])
        #expect(try Data(contentsOf: URL(fileURLWithPath: files[0])) == Data(same.output.utf8))
        let csv = try String(contentsOfFile: files[0] + ".csv", encoding: .utf8)
        #expect(try Program.run(["show", "--format", "csv", files[0]]).output == csv)
        let metrics = try Program.run(["show", "--format", "prometheus", files[0]])
        #expect(metrics.output.contains("egw_scale_test_probes_total "))
        let percentiles = try Program.run(["show", "--format", "hgrm", files[0]])
        #expect(percentiles.output.contains("#[Max"))

        let merged = try Program.run(["merge", "--expect", "2"] + files)
        #expect(merged.code == 0, "\(merged.errors)")
        try Data(merged.output.utf8).write(to: URL(fileURLWithPath: folder.path + "/all"))
        let all = try decoded(folder.path + "/all")
        #expect((all["figures"] as? [String: Any])?["clients"] as? Int == 2)
        for twice in [[files[0], files[0]], [folder.path + "/all", files[1]]] {
            let refused = try Program.run(["merge"] + twice)
            #expect(refused.code == 64 && refused.output.isEmpty)
            #expect(refused.errors.contains("is in it already"), "\(refused.errors)")
        }
    }

    @Test("--fail-on decides about the exit code, and its verdict is printed")
    func thresholds() throws {
        let target = try Target()
        let kept = try target.measure(["--fail-on", "delayms > 1h", "--fail-on", "probes < 1"])
        #expect(kept.code == 0, "\(kept.errors)")
        #expect(kept.output.contains("kept       delayms > 1h ("))
        let broken = try target.measure(["--fail-on", "delay.p99 > 0ms"])
        #expect(broken.code == 1 && broken.output.contains("BROKEN     delay.p99 > 0ms ("))
        let unknown = try target.measure(["--fail-on", "opened < 1"])
        #expect(unknown.code == 1 && unknown.output.contains("unknown    opened < 1"))
    }

    @Test(
        "a condition that no result can meet is refused before anything is measured",
        arguments: [
            ("sent > 5", "egw-client has no figure 'sent'"),
            ("delayms > 5", "expected a length of time"), ("nonsense", "'nonsense'"),
        ])
    func complaints(condition: String, reason: String) throws {
        let outcome = try Program.run([
            "egw", "client", "--external-target-addr", "127.0.0.1:1", "--fail-on", condition,
        ])
        #expect(outcome.code == 64 && outcome.errors.contains(reason), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }

    @Test("what cannot be shown is one line; exit code 64 or 66")
    func refusals() throws {
        let folder = try Folder()
        try folder.file("text", "no JSON")
        try folder.file("other", #"{"kind":"other","schema":1,"runs":[]}"#)
        for (arguments, code) in [
            (["show", "\(folder.path)/text"], 66), (["show", "\(folder.path)/other"], 66),
            (["show", "\(folder.path)/none"], 66), (["show", "-", "-"], 64),
            (["show", "--format", "csv", "a", "b"], 64), (["show", "--format", "xml", "a"], 64),
        ] as [([String], Int32)] {
            let outcome = try Program.run(arguments)
            #expect(outcome.code == code && outcome.output.isEmpty, "\(outcome.errors)")
            #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        }
    }

    @Test("the schema is the committed one, and a real result and a merged one are valid by it")
    func schema() throws {
        let outcome = try Program.run(["schema"])
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let committed = try String(
            contentsOf: tests.appendingPathComponent("../Vectors/results/schema.json"),
            encoding: .utf8)
        #expect(
            outcome.output == committed,
            "after a change of results: sonde schema > Tests/Vectors/results/schema.json")
        let check =
            "import json, sys, jsonschema; from jsonschema import Draft202012Validator as D;"
        guard let python = Program.path("python3"),
            try Program.run(["-c", check], executable: URL(fileURLWithPath: python)).code == 0
        else {
            print("skipped: documents are not validated: python3-jsonschema is missing")
            return
        }
        let folder = try Folder()
        try folder.file("schema", outcome.output)
        let files = ["a", "b"].map { "\(folder.path)/\($0)" }
        let target = try Target()
        for file in files { _ = try target.measure(["--json", file]) }
        try folder.file("all", try Program.run(["merge"] + files).output)
        let script =
            check + "schema = json.load(open(sys.argv[1])); D.check_schema(schema);"
            + "[D(schema).validate(json.load(open(name))) for name in sys.argv[2:]];"
            + "broken = json.load(open(sys.argv[2])); broken['figures']['probes'] = 1.5;"
            + "sys.exit(0 if list(D(schema).iter_errors(broken)) else 1)"
        let verdict = try Program.run(
            ["-c", script, folder.path + "/schema"] + files + [folder.path + "/all"],
            executable: URL(fileURLWithPath: python))
        #expect(verdict.code == 0, "\(verdict.errors)")
    }
}
