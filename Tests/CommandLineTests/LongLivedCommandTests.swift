import Foundation
import Testing

/// The long-lived commands as a person or a pod uses them.
@Suite struct LongLivedCommandTests {
    /// Starts a server on a free port and returns it with its URL.
    private func start(_ arguments: [String], environment: [String: String] = [:]) throws
        -> (Running, String)
    {
        let running = try Running(
            ["longlived", "server", "--listen", "127.0.0.1:0"] + arguments,
            environment: environment)
        let line = try #require(running.awaitLog(" listens on "))
        let address = try #require(line.split(separator: " ").last)
        return (running, "http://\(address)/")
    }

    @Test(
        "wrong usage is one line that says what, where and what was expected; exit code 64",
        arguments: [
            (["client"], ["<url>"]),
            (["client", "pods:5000"], ["pods:5000", "http://host"]),
            (["client", "http://a", "--think", "3s..1s"], ["--think", "20s..60s"]),
            (["client", "http://a", "--connections", "0"], ["--connections", "above zero"]),
            (["client", "http://a", "--connections", "9999999"], ["--connections", "limit"]),
            (["client", "http://a", "--open-rate", "0"], ["--open-rate", "above zero"]),
            (["client", "http://a", "--max-failures", "-1"], ["--max-failures"]),
            (["client", "http://a", "--pods", "0"], ["--pods", "above zero"]),
            (["client", "http://a", "--wait-for-target", "x"], ["--wait-for-target"]),
            (["client", "http://a", "--seed", "x"], ["--seed", "whole number"]),
            (
                ["client", "http://a", "--source-addr", "127.0.0.1", "--source-addr", "::1"],
                ["--source-addr ::1", "one family"]
            ),
            (
                [
                    "client", "http://a", "--source-addr", "127.0.0.1", "--connections", "200",
                    "--per-source", "100",
                ], ["--connections 200", "--per-source"]
            ),
            (["server", "--delay", "often"], ["--delay", "often", "20s..60s"]),
            (["server", "--connection", "open"], ["--connection", "keep-alive"]),
            (["server", "--pod-id", "a b"], ["--pod-id", "without spaces"]),
            (["server", "--max-requests", "0"], ["--max-requests", "above zero"]),
            (["server", "--max-age", "0s"], ["--max-age", "above zero"]),
            (["server", "--listen", "5000"], ["--listen", "port"]),
        ])
    func usage(arguments: [String], parts: [String]) throws {
        let outcome = try Program.run(["longlived"] + arguments)
        #expect(outcome.code == 64 && outcome.output.isEmpty, "\(outcome)")
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        for part in parts { #expect(outcome.errors.contains(part), "\(outcome.errors)") }
    }

    @Test(
        "an unknown name and a port that is taken are exit code 69, a file that cannot be made 71")
    func unavailable() throws {
        let unknown = try Program.run(["longlived", "client", "http://nobody.invalid/"])
        #expect(unknown.code == 69 && unknown.errors.contains("resolve nobody.invalid"))
        let (server, url) = try start([])
        let address = url.dropFirst(7).dropLast()
        let second = try Program.run(["longlived", "server", "--listen", String(address)])
        #expect(second.code == 69)
        #expect(second.errors == "sonde: listen on \(address): address already in use\n")
        let file = try Program.run(
            ["longlived", "client", url, "--requests", "1", "--json", "/nonexistent/a.json"])
        #expect(file.code == 71 && file.errors.contains("/nonexistent/a.json"))
        let page = try Program.run(
            ["longlived", "client", url, "--requests", "1", "--report", "/nonexistent/a.html"])
        #expect(page.code == 71 && page.output.isEmpty)
        #expect(page.errors == "sonde: write /nonexistent/a.html: no such file or directory\n")
        server.terminate()
        #expect(server.finish().code == 0)
    }

    @Test("piped: a line a response, then the table; the name comes from the environment")
    func lines() throws {
        let (server, url) = try start(
            ["--delay", "1ms..5ms"], environment: ["POD_ID": "pod-env"])
        let flags = ["--connections", "5", "--requests", "20", "--think", "0"]
        let outcome = try Program.run(["longlived", "client", url] + flags)
        #expect(outcome.code == 0, "\(outcome.errors)")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count { $0.hasPrefix("Response from Pod pod-env latency=") } == 20)
        #expect(lines.contains { $0.contains("counts  server-name") })
        #expect(lines.contains { $0.contains("20  pod-env") && $0.contains("100.0 %") })
        let quiet = try Program.run(["longlived", "client", url, "--quiet"] + flags)
        #expect(quiet.code == 0 && !quiet.output.contains("Response from Pod"))
        server.terminate()
        let ended = server.finish()
        #expect(ended.code == 0)
        #expect(ended.output.hasPrefix("longlived server pod-env: 40 requests, 40 answered"))
    }

    @Test("the seed decides about the pauses; the files hold the figures")
    func files() throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("sonde-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let json = folder.appendingPathComponent("a.json").path
        let csv = folder.appendingPathComponent("a.csv").path
        let page = folder.appendingPathComponent("a.html").path
        let unknown = try Program.run(
            ["longlived", "client", "http://nobody.invalid/", "--report", page])
        #expect(unknown.code == 69 && !FileManager.default.fileExists(atPath: page))
        let (server, url) = try start(["--connection", "close", "--pod-id", "x", "--seed", "3"])
        let outcome = try Program.run(
            [
                "longlived", "client", url, "--requests", "7", "--think", "1ms", "--quiet",
                "--json", json, "--csv", csv, "--report", page, "--seed", "42", "--pods", "3",
            ])
        #expect(outcome.code == 0 && outcome.errors.contains("seed 42"))
        let text = try String(contentsOfFile: json, encoding: .utf8)
        #expect(text.contains("\"seed\":42") && text.contains("\"reconnects\":6"))
        let series = try String(contentsOfFile: csv, encoding: .utf8)
        #expect(series.hasPrefix("second,seconds,open,inflight,failures,sharing,jain,x\n"))
        let html = try String(contentsOfFile: page, encoding: .utf8)
        #expect(html.hasPrefix("<!DOCTYPE html>") && html.hasSuffix("</html>\n"))
        #expect(html.contains("<dt>answers</dt><dd><b>7</b>"))
        #expect(html.contains("<dt>own delay, p99</dt>"))
        // One of three that were promised: the page, the text and the document say a third.
        #expect(text.contains("\"jain\":0.3333") && html.contains("<b>0.3333</b>"))
        #expect(outcome.output.contains("Jain's index 0.3333 over 1 pod and 2 promised"))
        server.terminate()
        #expect(server.finish().code == 0)
    }

    @Test("failures above --max-failures are exit code 1, and so is a run without any answer")
    func failures() throws {
        let (server, url) = try start(["--delay", "5s"])
        let flags = ["--requests", "3", "--think", "0", "--quiet", "--timeout", "10ms"]
        let strict = try Program.run(["longlived", "client", url, "--max-failures", "2"] + flags)
        #expect(strict.code == 1 && strict.errors.contains("3 failures"))
        #expect(strict.output.contains("failed timeout 3"))
        let none = try Program.run(["longlived", "client", url, "--max-failures", "3"] + flags)
        #expect(none.code == 1 && none.errors.contains("no answer"))
        server.terminate()
        #expect(server.finish().code == 0)
    }

    @Test("nobody there: the first failure at once, in a line, and an end after --requests")
    func nobody() throws {
        let outcome = try Program.run([
            "longlived", "client", "http://127.0.0.1:1/", "--requests", "2", "--think", "0",
        ])
        #expect(outcome.code == 1)
        let lines = outcome.errors.split(separator: "\n")
        let first = "First failure: refused: connect 127.0.0.1:1: connection refused"
        #expect(lines.filter { $0.hasPrefix("First") } == [first[...]], "\(outcome.errors)")
        #expect(outcome.output.contains("failed refused 2 "))
        #expect(outcome.output.contains("2 not sent: no connection for them"))
    }

    @Test("a source address that is not this machine's is exit code 71, in one line")
    func foreignSource() throws {
        let outcome = try Program.run([
            "longlived", "client", "http://127.0.0.1:1/", "--source-addr", "127.0.0.1",
            "--source-addr", "192.0.2.1",
        ])
        #expect(outcome.code == 71 && outcome.output.isEmpty)
        #expect(
            outcome.errors
                == "sonde: --source-addr 192.0.2.1: not an address of this machine\n")
    }

    @Test("local trouble alone does not fail --max-failures; without an answer it is exit code 71")
    func localTrouble() throws {
        let outcome = try Program.run([
            "longlived", "client", "http://127.0.0.1:1/", "--source-addr", "::1", "--quiet",
            "--duration", "50ms",
        ])
        #expect(outcome.code == 71, "\(outcome.errors)")
        #expect(outcome.errors.contains("no address of the sources' family"))
        #expect(outcome.output.contains("failed here resolve 1"))
    }

    @Test("a target that is not there yet is waited for, and nothing of that counts")
    func waiting() throws {
        let (first, url) = try start([])
        first.terminate()
        #expect(first.finish().code == 0)
        let flags = ["--requests", "3", "--think", "0", "--quiet", "--wait-for-target"]
        let vain = try Program.run(["longlived", "client", url] + flags + ["100ms"])
        #expect(vain.code == 69 && vain.output.isEmpty)
        #expect(vain.errors.contains("sonde: \(url): no success yet: "), "\(vain.errors)")
        let client = try Running(["longlived", "client", url] + flags + ["60s"])
        #expect(client.awaitLog("Waiting for \(url): ") != nil)
        let address = String(url.dropFirst(7).dropLast())
        let second = try Running(["longlived", "server", "--listen", address])
        #expect(client.awaitLog("Holding 1 connection") != nil)
        let ended = client.finish()
        #expect(ended.code == 0 && ended.output.contains("3 requests in "))
        #expect(!ended.output.contains("failed") && !ended.output.contains("not sent"))
        second.terminate()
        #expect(second.finish().code == 0)
    }

    @Test("lines that cannot be written end a run that has no end of its own")
    func fullOutput() throws {
        let (server, url) = try start(["--delay", "0"])
        let outcome = try Program.run(
            ["-c", "exec \"$0\" \"$@\" >/dev/full", Program.path.path, "longlived", "client", url]
                + ["--think", "10ms"],
            executable: URL(fileURLWithPath: "/bin/sh"))
        #expect(outcome.code == 71)
        #expect(
            outcome.errors.hasSuffix("sonde: write standard output: no space left on device\n"))
        server.terminate()
        #expect(server.finish().code == 0)
    }

    @Test("SIGTERM ends the client with its table, and the server when its grace is over")
    func signals() throws {
        let (server, url) = try start(["--delay", "20s", "--grace", "10ms"])
        let client = try Running(["longlived", "client", url])
        #expect(client.awaitLog("Holding 1 connection") != nil)
        client.terminate()
        let ended = client.finish()
        #expect(ended.code == 1 && ended.output.contains("server-name"))
        server.terminate()
        #expect(server.finish().code == 0)
    }
}
