import Foundation
import Testing

/// The reload commands as a person or a script uses them.
@Suite(.serialized) struct ReloadCommandTests {
    private func startBackend(_ flags: String...) throws -> (Running, String) {
        let running = try Running(
            ["reload", "backend", "pod-a", "0", "--listen-address", "127.0.0.1"] + flags)
        let line = try #require(running.awaitLog("Backend pod-a listens on "))
        return (running, String(try #require(line.split(separator: " ").last)))
    }

    @Test(
        "wrong usage is one line that says what, where and what was expected; exit code 64",
        arguments: [
            (["bench"], ["<url>"]),
            (["bench", "https://localhost/"], ["https://localhost/", "not supported yet"]),
            (["bench", "localhost:80"], ["localhost:80", "http://proxy.example"]),
            (["bench", "http://x/", "--event", "nginx -s reload"], ["--event", "2s="]),
            (["bench", "http://x/", "--event", "2=x"], ["'2=x'", "--event"]),
            (
                ["bench", "http://x/", "--duration", "2s", "--event", "2s=true"],
                ["--event 2s=true", "after the end"]
            ),
            (["bench", "http://x/", "--rate", "0"], ["--rate", "above zero"]),
            (["bench", "http://x/", "--rate", "2000000"], ["--rate", "at most 1000000"]),
            (["bench", "http://x/", "--clients", "0"], ["--clients", "above zero"]),
            (["bench", "http://x/", "--clients", "99999999"], ["--clients", "ulimit"]),
            (["bench", "http://x/", "--requests", "x"], ["--requests", "whole number"]),
            (["bench", "http://x/", "--duration", "5"], ["--duration", "100ms"]),
            (["bench", "http://x/", "--timeout", "0s"], ["--timeout", "above zero"]),
            (["bench", "http://x/", "--window", "-1s"], ["--window"]),
            (["bench", "http://x/", "--csv", "x", "--report", "x"], ["--csv and --report"]),
            (["backend", "a"], ["<port>"]),
            (["backend", "a", "70000"], ["70000"]),
            (["backend", "", "0"], ["ID"]),
            (["backend", "a", "0", "--delay", "-1s"], ["--delay"]),
            (["backend", "a", "0", "--close-after", "0"], ["--close-after"]),
        ])
    func usage(arguments: [String], words: [String]) throws {
        let outcome = try Program.run(["reload"] + arguments)
        #expect(outcome.code == 64 && outcome.output.isEmpty)
        #expect(outcome.errors.hasPrefix("sonde: "))
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        for word in words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
    }

    @Test("what is not there is one line: unknown host 69, unwritable file 71, port in use 69")
    func unavailable() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        let host = try Program.run(
            ["reload", "bench", "http://no.such.host.invalid/", "--csv", csv])
        #expect(host.code == 69 && host.errors.hasPrefix("sonde: resolve no.such.host.invalid: "))
        #expect(!FileManager.default.fileExists(atPath: csv), "not before the host is known")
        for flag in ["--json", "--report"] {
            let file = try Program.run([
                "reload", "bench", "http://127.0.0.1:9/", "--requests", "1", "--csv", csv, flag,
                "/no/such/folder/x",
            ])
            #expect(file.code == 71 && file.output.isEmpty)
            #expect(file.errors == "sonde: write /no/such/folder/x: no such file or directory\n")
        }
        let file = try Program.run(
            ["reload", "bench", "http://127.0.0.1:9/", "--csv", "/no/such/folder/x.csv"])
        #expect(file.code == 71)
        #expect(
            file.errors == "sonde: write /no/such/folder/x.csv: no such file or directory\n")
        let (backend, address) = try startBackend()
        let port = try #require(address.split(separator: ":").last.map(String.init))
        let second = try Program.run(
            ["reload", "backend", "b", port, "--listen-address", "127.0.0.1"])
        #expect(second.code == 69)
        #expect(second.errors == "sonde: listen on \(address): address already in use\n")
        backend.terminate()
        #expect(backend.finish().code == 0)
    }

    @Test("piped: a line a request, then the summary; the last line counts; files are written")
    func piped() throws {
        let folder = try Folder()
        let csv = folder.path("rows.csv")
        let json = folder.path("summary.json")
        let (backend, address) = try startBackend()
        let bench = [
            "reload", "bench", "http://\(address)/", "--requests", "100", "--clients", "4",
        ]
        let outcome = try Program.run(bench + ["--csv", csv, "--json", json])
        #expect(outcome.code == 0 && outcome.errors.isEmpty, "\(outcome.errors)")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count { $0.contains(": 200 from pod-a, front ") } == 100)
        #expect(lines.last == "success: 100 failure: 0 front changed: 0 back changed: 0")
        let rows = folder.text("rows.csv").split(separator: "\n")
        #expect(rows.count == 101)
        let data = try Data(contentsOf: URL(fileURLWithPath: json))
        let object = try #require(
            try JSONSerialization.jsonObject(with: data) as? [String: Any])
        #expect(object["requests"] as? Int == 100 && object["success"] as? Int == 100)

        let quiet = try Program.run(bench + ["--csv", csv, "--quiet"])
        #expect(quiet.code == 0 && !quiet.output.contains(" client 0: "))
        #expect(quiet.output.hasPrefix("requests   100 in "))
        #expect(quiet.output.hasSuffix("back changed: 0\n"))

        backend.terminate()
        let end = backend.finish()
        #expect(end.code == 0 && end.output == "reload backend pod-a: 200 requests answered\n")
    }

    @Test("a full disk: the summary all the same, one line, exit code 71")
    func fullDisk() throws {
        let (backend, address) = try startBackend()
        let outcome = try Program.run(
            ["reload", "bench", "http://\(address)/", "--csv", "/dev/full", "--quiet"])
        #expect(outcome.code == 71)
        #expect(outcome.errors == "sonde: write /dev/full: no space left on device\n")
        #expect(outcome.output.contains("\nsuccess: "))
        backend.terminate()
        #expect(backend.finish().code == 0)
    }

    @Test("nobody there: each attempt is counted, exit code 1")
    func refused() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        let (backend, address) = try startBackend()
        backend.terminate()
        #expect(backend.finish().code == 0)
        let outcome = try Program.run(
            [
                "reload", "bench", "http://\(address)/", "--requests", "4", "--clients", "2",
                "--csv", csv, "--quiet",
            ])
        #expect(outcome.code == 1)
        #expect(
            outcome.output.hasSuffix(
                "success: 0 failure: 4 front changed: 0 back changed: 0\n"))
        #expect(outcome.output.contains("failures   4 (connection refused 4)"))
    }

    @Test("SIGUSR1 sets a mark; Control-C ends with the summary")
    func signals() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        let (backend, address) = try startBackend()
        let page = folder.path("report.html")
        let bench = try Running(
            [
                "reload", "bench", "http://\(address)/", "--csv", csv, "--quiet", "--rate", "500",
                "--report", page,
                "--event", "0s=echo from the command; exit 2",
            ])
        #expect(bench.awaitLog("event 1 FAILED after ")?.hasSuffix("exit code 2") == true)
        bench.signal(SIGUSR1)
        #expect(bench.awaitLog("mark 2 at ") != nil)
        bench.interrupt()
        let outcome = bench.finish()
        #expect(outcome.code == 1, "the command of an event failed")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.last?.hasPrefix("success: ") == true)
        #expect(lines.contains { $0.hasPrefix("mark 2 at ") })
        #expect(lines.contains { $0.hasPrefix("  command     FAILED: exit code 2 after ") })
        #expect(!lines.contains("from the command"), "its output is no data")
        let html = folder.text("report.html")
        #expect(html.hasPrefix("<!DOCTYPE html>") && html.hasSuffix("</html>\n"))
        #expect(html.contains("echo from the command; exit 2") && html.contains("open loop"))
        backend.terminate()
        #expect(backend.finish().code == 0)
    }

    @Test(
        "stopped for longer than --timeout, it books no answer that was in its socket as timed out")
    func stopped() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        let (backend, address) = try startBackend("--delay", "20ms")
        for pace in [[], ["--rate", "400"]] {
            let bench = try Running(
                [
                    "reload", "bench", "http://\(address)/", "--csv", csv, "--quiet", "--timeout",
                    "100ms", "--event", "200ms=kill -STOP $PPID; sleep 0.3; kill -CONT $PPID",
                    "--duration", "800ms",
                ] + pace)
            let outcome = bench.finish()
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(outcome.output.contains("failures   0\n"), "\(outcome.output)")
        }
        backend.terminate()
        _ = backend.finish()
    }

    @Test("an event whose command fails: said at once and at the end, all is written, exit code 1")
    func failedEvent() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        let json = folder.path("summary.json")
        let (backend, address) = try startBackend()
        let outcome = try Program.run(
            [
                "reload", "bench", "http://\(address)/", "--csv", csv, "--quiet", "--json",
                json, "--duration", "200ms", "--event", "10ms=exit 3", "--event", "20ms=true",
            ])
        #expect(outcome.code == 1)
        #expect(outcome.errors.contains("event 1 FAILED after "), "\(outcome.errors)")
        #expect(outcome.errors.contains("sonde: 1 of 2 events failed"), "\(outcome.errors)")
        #expect(outcome.output.contains("  command     FAILED: exit code 3 after "))
        #expect(outcome.output.split(separator: "\n").last?.hasPrefix("success: ") == true)
        #expect(folder.text("summary.json").hasSuffix("}\n"))
        #expect(folder.text("data.csv").contains(",200,pod-a,"))
        backend.terminate()
        _ = backend.finish()
    }

    @Test("an event beyond the last that is listed fails the bench, too")
    func furtherEvents() throws {
        let (backend, address) = try startBackend()
        let events = (0..<256).flatMap { ["--event", "\($0)ms=:"] } + ["--event", "1s=exit 3"]
        let folder = try Folder()
        let outcome = try Program.run(
            ["reload", "bench", "http://\(address)/", "--csv", folder.path("rows"), "--quiet"]
                + ["--clients", "1", "--duration", "2s"] + events)
        #expect(outcome.code == 1)
        #expect(
            outcome.errors.contains("sonde: 1 events after the first 256 failed"),
            "\(outcome.errors.suffix(300))")
        backend.terminate()
        _ = backend.finish()
    }

    @Test("--csv-unit ms writes milliseconds with three decimals; anything else is refused")
    func milliseconds() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        let (backend, address) = try startBackend()
        let outcome = try Program.run(
            [
                "reload", "bench", "http://\(address)/", "--csv", csv, "--quiet", "--requests", "3",
                "--csv-unit", "ms",
            ])
        #expect(outcome.code == 0, "\(outcome.errors)")
        let rows = folder.text("data.csv").split(separator: "\n")
        #expect(rows.count == 4)
        for row in rows.dropFirst() {
            #expect(
                row.wholeMatch(of: /\d+\.\d{3},\d,200,pod-a,\d+,\d+,\d+\.\d{3},/) != nil, "\(row)")
        }
        backend.terminate()
        _ = backend.finish()
    }

    @Test("--wait-for-target begins with the first 200, and counts nothing before; 69 without one")
    func waiting() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        // A port that was free a moment ago.
        let (first, address) = try startBackend()
        first.terminate()
        _ = first.finish()
        let bench = [
            "reload", "bench", "http://\(address)/", "--csv", csv, "--quiet", "--requests", "20",
        ]
        let waiting = try Running(bench + ["--wait-for-target", "60s"])
        #expect(waiting.awaitLog("waiting for ")?.hasSuffix("connection refused") == true)
        let port = String(try #require(address.split(separator: ":").last))
        let second = try Running(
            ["reload", "backend", "pod-a", port, "--listen-address", "127.0.0.1"])
        let outcome = waiting.finish()
        #expect(outcome.code == 0 && outcome.output.contains("\nsuccess: 20 failure: 0 "))
        #expect(folder.text("data.csv").split(separator: "\n").count == 21)
        second.terminate()
        _ = second.finish()
        let never = try Program.run(bench + ["--wait-for-target", "10ms"])
        #expect(never.code == 69 && never.output.isEmpty)
        #expect(never.errors.contains("sonde: \(address) did not answer with status 200 in 10ms: "))
    }

    @Test("the help of each command names every flag with its unit and default")
    func help() throws {
        let bench = try Program.run(["reload", "bench", "--help"])
        for flag in [
            "--clients", "--duration", "--requests", "--rate", "--timeout", "--host", "--event",
            "--window", "--csv", "--json", "--report", "--quiet", "SIGUSR1", "default: data.csv",
        ] { #expect(bench.output.contains(flag), "\(flag)") }
        let backend = try Program.run(["reload", "backend", "--help"])
        for flag in ["--close-after", "--delay", "--listen-address", "Backend-Id"] {
            #expect(backend.output.contains(flag), "\(flag)")
        }
    }
}
