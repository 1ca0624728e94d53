import Foundation
import TestSupport
import Testing

/// Where results go, and what happens where they cannot.
@Suite struct OutputTests {
    private static let full = "sonde: write standard output: no space left on device\n"
    private static let demo = ["netpol", "demo", "--clients", "1", "--policies", "1"]

    /// Runs `sonde` by a shell that changes its streams.
    private func run(_ arguments: [String], _ redirection: String) throws -> Program.Outcome {
        try Program.run(
            ["-c", "exec \"$0\" \"$@\" \(redirection)", Program.path.path] + arguments,
            executable: URL(fileURLWithPath: "/bin/sh"))
    }

    /// A result of `sonde reload bench`, where nobody listens.
    private func bench(_ more: [String]) -> [String] {
        ["reload", "bench", "http://127.0.0.1:1/", "--requests", "3"] + more
    }

    @Test(
        "standard output that is full is exit code 71 and one line",
        arguments: [
            ["--help"], ["--version"], ["netpol"], ["help", "egw"],
            ["longlived", "client", "--help"],
        ])
    func full(arguments: [String]) throws {
        let outcome = try run(arguments, ">/dev/full")
        #expect(outcome.code == 71)
        #expect(outcome.errors == Self.full)
    }

    @Test("a summary that cannot be printed is exit code 71, and the files are there")
    func summary() throws {
        let folder = try Folder()
        let json = folder.path("a.json")
        let measured = try run(Self.demo + ["--json", json], ">/dev/full")
        #expect(measured.code == 71 && measured.errors.hasSuffix(Self.full))
        #expect(folder.text("a.json").hasPrefix("{"))
        let merged = folder.path("b.json")
        let tested = try run(bench(["--json", merged, "--csv", folder.path("c")]), ">/dev/full")
        #expect(tested.code == 71 && tested.errors.hasSuffix(Self.full))
        #expect(try run(["merge", merged], ">/dev/full").code == 71)
    }

    @Test(
        "a closed descriptor ends nothing but what was to go there",
        arguments: [("<&-", Int32(1)), ("2>&-", 1), (">&-", 71), ("<&- >&- 2>&-", 71)])
    func closed(redirection: String, code: Int32) throws {
        let folder = try Folder()
        let outcome = try run(
            bench(["--quiet", "--csv", folder.path("rows"), "--json", folder.path("a.json")]),
            redirection)
        #expect(outcome.code == code)
        #expect(folder.text("a.json").hasPrefix("{"))
        #expect(folder.text("rows").hasPrefix("time,"))
    }

    @Test("a reader that has gone away is no error")
    func gone() throws {
        let outcome = try Program.run(
            ["-c", "\"$0\" --help | :", Program.path.path],
            executable: URL(fileURLWithPath: "/bin/sh"))
        #expect(outcome.errors == "")
    }

    @Test("- is standard output: the result alone, and the summary on standard error")
    func dash() throws {
        let json = try Program.run(Self.demo + ["--json", "-"])
        #expect(json.code == 0)
        #expect(json.output.hasPrefix("{") && json.output.hasSuffix("}\n"))
        #expect(json.errors.contains("policies"))
        let csv = try Program.run(bench(["--csv", "-"]))
        #expect(
            csv.output.hasPrefix("time,client,") && csv.output.split(separator: "\n").count == 4)
        let both = try Program.run(bench(["--csv", "-", "--json", "-"]))
        #expect(both.code == 64)
    }

    @Test("standard output by its other name goes where it leads, behind what is there")
    func otherName() throws {
        let folder = try Folder()
        let line = ([Program.path.path] + Self.demo + ["--json", "/dev/stdout"])
            .joined(separator: " ")
        let outcome = try Program.run(
            ["-c", "exec >\(folder.path("log")); echo first; \(line)"],
            executable: URL(fileURLWithPath: "/bin/sh"))
        #expect(outcome.code == 0, "\(outcome.errors)")
        let lines = folder.text("log").split(separator: "\n")
        #expect(lines.first == "first")
        #expect(lines.filter { $0.hasPrefix("{") && $0.hasSuffix("}") }.count == 1)
        #expect(lines.contains { $0.contains("policies") })
    }

    @Test("an earlier result survives a run that is killed")
    func killed() throws {
        let folder = try Folder()
        let path = try folder.file("a.json", "earlier")
        let running = try Running(Self.demo + ["--json", path])
        #expect(running.awaitLog("policies") != nil)
        running.signal(SIGKILL)
        #expect(running.finish().code == -SIGKILL)
        #expect(folder.text("a.json") == "earlier")
    }

    @Test(
        "a stream that others have made non-blocking gets every byte",
        .enabled(if: Program.isInstalled("python3"), "python3 is not installed"))
    func nonblocking() throws {
        // A pipe that holds less than is written.
        let script = """
            import fcntl, os, subprocess, sys
            reading, writing = os.pipe2(os.O_CLOEXEC)
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
            fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
            child = subprocess.Popen(sys.argv[1:], stdout=writing)
            os.close(writing)
            with open(reading, "rb") as file: content = file.read()
            sys.stdout.buffer.write(content)
            sys.exit(child.wait())
            """
        let arguments = ["--generate-completion-script", "bash"]
        let python = try #require(Program.path("python3"))
        let plain = try Program.run(arguments)
        let slow = try Program.run(
            ["-c", script, Program.path.path] + arguments,
            executable: URL(fileURLWithPath: python))
        #expect(slow.code == 0 && slow.errors == "")
        #expect(slow.output == plain.output && plain.output.utf8.count > 4096)
    }
}
