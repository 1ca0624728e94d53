import Foundation
import Testing

/// The egress gateway's commands as a person or a pod uses them.
@Suite struct EgressGatewayCommandTests {
    private let target = ["egw", "external-target", "--listen-address", "127.0.0.1"]

    /// Starts a target on a free port and returns it with its address.
    private func start(_ arguments: [String], executable: URL = Program.path) throws
        -> (Running, String)
    {
        let running = try Running(arguments, executable: executable)
        let line = try #require(running.awaitLog("Listening for new connections on "))
        let address = try #require(line.split(separator: "on ").last?.split(separator: ",").first)
        return (running, String(address))
    }

    @Test(
        "wrong usage is one line that says what, where and what was expected; exit code 64",
        arguments: [
            (["client"], ["--external-target-addr"]),
            (["client", "--external-target-addr", "nowhere"], ["nowhere", "IP address"]),
            (["client", "--external-target-addr", "10.0.0.1"], ["10.0.0.1", "with a port"]),
            (["client", "--external-target-addr", ":1337"], [":1337", "IP address"]),
            (["client", "--external-target-addr", "10.0.0.1:0"], ["10.0.0.1:0"]),
            (["client", "--external-target-addr", "10.0.0:80"], ["10.0.0:80", "name"]),
            (["client", "--external-target-addr", "a b:80"], ["a b:80", "name"]),
            (
                ["client", "--external-target-addr", "10.0.0.1:1", "--interval", "50"],
                ["--interval", "100ms"]
            ),
            (
                ["client", "--external-target-addr", "10.0.0.1:1", "--stress-delay", "-1s"],
                ["--stress-delay", "0s"]
            ),
            (
                ["client", "--external-target-addr", "10.0.0.1:1", "--source-addr", "::1"],
                ["--source-addr ::1", "family"]
            ),
            (["external-target"], ["--allowed-cidr"]),
            (["external-target", "--allowed-cidr", "10.0.0.0/33"], ["10.0.0.0/33", "block"]),
            (
                ["external-target", "--allowed-cidr", "10.0.0.0/8", "--listen-port", "70000"],
                ["--listen-port", "70000", "port"]
            ),
        ])
    func usage(arguments: [String], parts: [String]) throws {
        let outcome = try Program.run(["egw"] + arguments)
        #expect(outcome.code == 64 && outcome.output.isEmpty)
        #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        for part in parts { #expect(outcome.errors.contains(part), "\(outcome.errors)") }
    }

    @Test(
        "booleans as Go's flags take them: bare, or with any of ParseBool's words; the last counts",
        arguments: [
            (["--keep-open=false"], false), (["--keep-open"], true), (["--keep-open=true"], true),
            (["--keep-open=1"], true), (["--keep-open=t"], true), (["--keep-open=T"], true),
            (["--keep-open=TRUE"], true), (["--keep-open=True"], true), (["--keep-open=0"], false),
            (["--keep-open=f"], false), (["--keep-open=F"], false), (["--keep-open=FALSE"], false),
            (["--keep-open=False"], false), (["--keep-open", "--keep-open=false"], false),
            (["--keep-open=false", "--keep-open=1"], true),
            // Not the flag's value: the original ignores it as an argument of its own.
            (["--keep-open", "false"], true),
        ])
    func booleans(flags: [String], isKept: Bool) throws {
        let running = try Running(
            target + flags + ["--listen-port", "0", "--allowed-cidr=127.0.0.0/8"])
        let line = try #require(running.awaitLog("Listening for new connections on "))
        #expect(line.hasSuffix(isKept ? ", kept open" : ", closed after the answer"), "\(line)")
        running.terminate()
        #expect(running.finish().code == 0)
    }

    @Test("a boolean that Go would not take either is one line and exit code 64")
    func noBoolean() throws {
        for flag in ["--keep-open=yes", "--keep-open="] {
            let outcome = try Program.run(target + ["--allowed-cidr", "127.0.0.0/8", flag])
            #expect(outcome.code == 64 && outcome.errors.contains("'--keep-open'"))
            #expect(outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
        }
    }

    @Test("a host name as the target is looked up; one that does not resolve is nobody's miss")
    func names() throws {
        let (running, address) = try start(
            target + ["--listen-port", "0", "--allowed-cidr", "127.0.0.0/8"])
        let port = try #require(address.split(separator: ":").last)
        for (name, timeout, log, code) in [
            ("localhost", "60s", "The target answered", Int32(0)),
            ("no-such-name.invalid", "300ms", "the test has failed", 1),
        ] {
            let client = try Running(
                ["egw", "client", "--external-target-addr", "\(name):\(port)"]
                    + ["--listen", "127.0.0.1:0", "--test-timeout", timeout])
            #expect(client.awaitLog(log) != nil, "\(name)")
            client.terminate()
            let outcome = client.finish()
            #expect(outcome.code == code, "\(outcome.errors)")
            #expect(code == 0 || !outcome.output.contains("refused"), "\(outcome.output)")
        }
        running.terminate()
        #expect(running.finish().code == 0)
    }

    @Test("a port that is taken is one line and exit code 69; a file that cannot be made, 71")
    func unavailable() throws {
        let (first, address) = try start(
            target + ["--listen-port", "0", "--allowed-cidr", "127.0.0.0/8"])
        let port = try #require(address.split(separator: ":").last.map(String.init))
        let second = try Program.run(
            target + ["--listen-port", port, "--allowed-cidr", "127.0.0.0/8"])
        let client = try Program.run(
            ["egw", "client", "--external-target-addr", address, "--listen", address])
        for outcome in [second, client] {
            #expect(outcome.code == 69)
            #expect(outcome.errors == "sonde: listen on \(address): address already in use\n")
        }
        let path = "/nonexistent/sources.csv"
        let record = try Program.run(
            target + ["--listen-port", "0", "--allowed-cidr", "::/0", "--record", path])
        #expect(record.code == 71 && record.errors.contains(path))
        first.terminate()
        let outcome = first.finish()
        #expect(outcome.code == 0)
        #expect(outcome.output.hasPrefix("egw external-target: 0 connections accepted"))
    }

    @Test("as egw-scale-utils, with the original's flags; SIGTERM: the result, exit code 0 or 1")
    func original() throws {
        let folder = try Folder()
        let link = URL(fileURLWithPath: folder.path("egw-scale-utils"))
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: Program.path)

        let flags = ["--interval=5ms", "--stress=F", "--stress-delay=0s"]
        // The clock runs from the start of the process, which a busy machine takes its time over.
        for (allowed, timeout, log, code, words) in [
            ("127.0.0.0/8", "60s", "The target answered", Int32(0), "masquerade delay "),
            ("10.0.0.0/8", "1s", "the test has failed", Int32(1), "no answer, "),
        ] {
            let (target, address) = try start(
                ["external-target", "--listen-port", "0", "--allowed-cidr", allowed],
                executable: link)
            let port = try #require(address.split(separator: ":").last)
            let client = try Running(
                ["client", "--external-target-addr", "127.0.0.1:\(port)"] + flags
                    + ["--test-timeout", timeout]
                    + ["--listen", "127.0.0.1:0"],
                executable: link)
            #expect(client.awaitLog(log) != nil)
            client.terminate()
            let outcome = client.finish()
            #expect(outcome.code == code, "\(outcome.errors)")
            let lines = outcome.output.split(separator: "\n")
            #expect(lines.count == 1 && lines[0].hasPrefix("egw client: \(words)"))
            if code == 0 {
                #expect(lines[0].contains("uncertainty ") && lines[0].contains(" probes, "))
            } else {
                #expect(lines[0].contains("misses (closed "))
            }
            target.terminate()
            #expect(target.finish().code == 0)
        }
    }
}
