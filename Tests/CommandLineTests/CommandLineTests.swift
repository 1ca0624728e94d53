import Foundation
import Testing

/// What a person or a script meets at the command line.
@Suite struct CommandLineTests {
    private func expectOneLine(
        _ outcome: Program.Outcome, code: Int32, containing parts: [String],
        _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(outcome.code == code, "\(outcome.errors)", sourceLocation: location)
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 1, "\(outcome.errors)", sourceLocation: location)
        for part in parts {
            #expect(outcome.errors.contains(part), "\(outcome.errors)", sourceLocation: location)
        }
        #expect(outcome.output.isEmpty, sourceLocation: location)
    }

    @Test(
        "wrong usage is one line that says what, where and what was expected; exit code 64",
        arguments: [
            (["netpol", "client", "--interval", "soon"], ["--interval", "soon"]),
            (["netpol", "client", "--interval", "0"], ["--interval", "above zero"]),
            (["netpol", "client", "--listen", "nowhere"], ["--listen", "address:port"]),
            (["netpol", "client", "--max-rate", "-1"], ["--max-rate"]),
            (["netpol", "client", "--idle-rate", "0"], ["--idle-rate", "above zero"]),
            (["netpol", "client", "--expect", "maybe"], ["--expect", "allow"]),
            (["netpol", "client", "--sentinels", "-2"], ["--sentinels"]),
            (["netpol", "client", "--pacing", "classic", "--expect", "deny"], ["--pacing"]),
            (["netpol", "client", "--frobnicate"], ["--frobnicate"]),
            (["netpol", "client", "extra"], ["extra"]),
            (["netpol", "target", "--listen", "127.0.0.1:99999"], ["127.0.0.1:99999"]),
            (["netpol", "proxy", "--give-up", "5"], ["--give-up"]),
            (["netpol", "proxy", "--max-body-memory", "64MB"], ["--max-body-memory", "64MiB"]),
            (["netpol", "client", "--max-body-memory", "0"], ["--max-body-memory", "64MiB"]),
            (["netpol", "client", "--max-body-memory", "9999999999GiB"], ["--max-body-memory"]),
            (["netpol", "demo", "--rate", "0"], ["--rate"]),
            (["netpol", "demo", "--policies", "1000000"], ["--policies", "10000"]),
            (["netpol", "demo", "--report", "a", "--json", "a"], ["--report", "--json"]),
            (["nonsense"], ["nonsense"]),
        ])
    func usage(arguments: [String], parts: [String]) throws {
        expectOneLine(try Program.run(arguments), code: 64, containing: parts)
    }

    @Test("a wrong environment variable is named like a wrong flag")
    func environment() throws {
        let outcome = try Program.run(
            ["netpol", "client", "--pacing", "classic"],
            environment: ["PARALLEL_CONNECTIONS": "many"])
        expectOneLine(outcome, code: 64, containing: ["PARALLEL_CONNECTIONS=many"])
    }

    @Test(
        "a file that cannot be written is one line before anything is measured; exit code 71",
        arguments: ["--report", "--json"])
    func unwritable(flag: String) throws {
        let outcome = try Program.run(["netpol", "demo", flag, "/nonexistent/file"])
        expectOneLine(outcome, code: 71, containing: ["/nonexistent/file", "no such file"])
    }

    @Test("the demo's page has the figures of its table, and the command that made it")
    func demoReport() throws {
        let folder = try Folder()
        let file = folder.path("it's a report.html")
        let outcome = try Program.run([
            "netpol", "demo", "--policies", "12", "--clients", "3", "--rate", "200", "--no-gate",
            "--interval", "20ms", "--report", file,
        ])
        #expect(outcome.code == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("12 of 12 policies detected by 3 clients"))
        let page = try String(contentsOfFile: file, encoding: .utf8)
        #expect(page.contains("<dt>detected</dt><dd><b>12</b><span>of 12 policies in "))
        #expect(page.contains("<dt>wrong bounds</dt><dd><b>0</b>"))
        for row in ["latency", "true latency", "true error", "uncertainty"] {
            #expect(page.contains("<th scope=\"row\" class=\"words\">\(row)</th>"), "\(row)")
        }
        #expect(page.contains("it&#39;\\&#39;&#39;s a report.html&#39;</pre>"))
    }

    @Test("Ctrl-C leaves a demo's report and file of what there is, and exit code 130")
    func demoInterrupted() throws {
        let folder = try Folder()
        let file = folder.path("demo.json")
        let running = try Running(["netpol", "demo", "--rate", "5", "--json", file])
        // Bit by bit the signals that it handles: until then Ctrl-C simply ends it.
        let interrupt: UInt64 = 1 << 1
        while running.isRunning {
            let status = try String(
                contentsOfFile: "/proc/\(running.identifier)/status", encoding: .utf8)
            let caught = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") } ?? ""
            let mask = UInt64(caught.split(separator: "\t").last ?? "", radix: 16) ?? 0
            if mask & interrupt != 0 { break }
        }
        running.interrupt()
        let outcome = running.finish()
        #expect(outcome.code == 130, "\(outcome.errors)")
        #expect(outcome.output.contains("interrupted: no further policies were created\n"))
        #expect(folder.text("demo.json").contains(#""interrupted":true,"#))
    }

    @Test("an address that cannot be had is one line and exit code 69")
    func unavailable() throws {
        let first = try Running(["netpol", "target", "--listen", "127.0.0.1:0"])
        let line = try #require(first.awaitLog("Server started on "))
        let address = String(try #require(line.split(separator: " ").last))
        for role in ["client", "proxy", "target"] {
            let second = try Program.run(["netpol", role, "--listen", address])
            expectOneLine(
                second, code: 69, containing: ["listen on \(address)", "already in use"])
        }
        let foreign = try Program.run(["netpol", "client", "--listen", "203.0.113.9:9001"])
        expectOneLine(foreign, code: 69, containing: ["listen on 203.0.113.9:9001"])
        first.terminate()
        #expect(first.finish().code == 0)
    }

    @Test("help of every command names units and defaults, on standard output, exit code 0")
    func help() throws {
        for arguments in [
            ["--help"], ["netpol", "--help"], ["netpol", "client", "--help"],
            ["netpol", "proxy", "--help"], ["netpol", "target", "--help"],
            ["netpol", "demo", "--help"],
        ] {
            let outcome = try Program.run(arguments)
            #expect(outcome.code == 0 && outcome.errors.isEmpty)
            #expect(outcome.output.contains("USAGE: sonde"))
        }
        let client = try Program.run(["netpol", "client", "--help"]).output
        for text in ["--interval <duration>", "100ms", "1.5s", "10000", "[::]:9001"] {
            #expect(client.contains(text), "the client's help lacks \(text)")
        }
    }

    @Test("under the pods' names it acts as their roles; SIGTERM ends it with 0")
    func roles() throws {
        let folder = try Folder()
        for name in ["netpolvalidator", "netpolproxy", "sampleapp"] {
            let link = URL(fileURLWithPath: folder.path(name))
            try FileManager.default.createSymbolicLink(
                at: link, withDestinationURL: Program.path)
            let running = try Running(["--listen", "127.0.0.1:0"], executable: link)
            #expect(running.awaitLog("Server started on 127.0.0.1:") != nil)
            running.terminate()
            #expect(running.finish().code == 0)
        }
    }
}
