import CLibuv
import Foundation
import Pacing
import Testing

@testable import Reactor

/// Programs that the loop starts.
@Suite(.serialized) struct ChildProcessTests {
    /// Whether the kernel still knows the process: running, or a zombie that nobody has reaped.
    private func exists(_ identifier: Int32) -> Bool { Foundation.kill(identifier, 0) == 0 }

    private func run(
        _ command: String, output: ChildProcess.Output = .captured
    ) throws -> (exit: ChildProcess.Exit?, lines: [String]) {
        var exits: [ChildProcess.Exit] = []
        var lines: [String] = []
        var identifier: Int32 = 0
        try withLoop { loop in
            var hasReturned = false
            let child = try ChildProcess(
                loop: loop, command: command, output: output, onLine: { lines.append($0) }
            ) {
                #expect(hasReturned, "called from inside the initializer")
                exits.append($0)
            }
            hasReturned = true
            identifier = child.identifier
            #expect(identifier > 0)
        }
        #expect(exits.count == 1, "the end is told once")
        #expect(!exists(identifier), "no zombie is left")
        return (exits.first, lines)
    }

    @Test("the exit code is told once, and no zombie and no handle is left")
    func exitCode() throws {
        for code in [0, 1, 255] {
            let (exit, _) = try run("exit \(code)", output: .discarded)
            #expect(exit == ChildProcess.Exit(code: code))
            #expect(exit?.isSuccess == (code == 0))
        }
    }

    @Test("a child that a signal ended says which")
    func signal() throws {
        let (exit, _) = try run("kill -9 $$")
        #expect(exit == ChildProcess.Exit(code: 0, signal: 9))
        #expect(exit?.description == "signal 9" && exit?.isSuccess == false)
    }

    @Test("lines of both streams come in order, also the last one without an end, before the exit")
    func lines() throws {
        let (exit, lines) = try run("echo one; echo two >&2; echo; printf three")
        #expect(lines == ["one", "two", "", "three"])
        #expect(exit?.isSuccess == true)
    }

    @Test("what its own children go on writing keeps nobody waiting")
    func descendants() throws {
        #expect(try run("yes & exit 3").exit == ChildProcess.Exit(code: 3))
        // As fast as it is read, which no program can be relied on to be.
        var lines = 0
        try withLoop { loop in
            var descendant: Int32 = -1
            let pipe = OutputPipe(loop: loop) { _ in
                lines += 1
                if lines < 10_000 { sonde_write_all(descendant, "y\n", 2) }
            }
            descendant = pipe.writeEnd
            for _ in 0..<3 { sonde_write_all(descendant, "y\n", 2) }
            pipe.finish()
        }
        #expect(lines == 3)
    }

    @Test("no line comes after its close, though more are there")
    func closedByLine() throws {
        var lines: [String] = []
        try withLoop { loop in
            var child: ChildProcess?
            child = try ChildProcess(
                loop: loop, command: "printf 'one\\ntwo\\nthree'", output: .captured,
                onLine: {
                    lines.append($0)
                    child?.close()
                },
                onExit: { _ in Issue.record("it was closed") })
            loop.run()
            child = nil
        }
        #expect(lines == ["one"])
    }

    @Test("more than a pipe holds comes through whole")
    func much() throws {
        let (_, lines) = try run("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done")
        #expect(lines == (0..<20000).map { "line \($0)" })
    }

    @Test("a line without end is cut, what follows it is not")
    func longLine() throws {
        let (_, lines) = try run("head -c 100000 /dev/zero | tr '\\0' x; echo; echo next")
        #expect(lines.count == 2)
        #expect(lines.first == String(repeating: "x", count: ChildProcess.longestLine))
        #expect(lines.last == "next")
    }

    @Test("bytes that are not UTF-8 are replaced")
    func notText() throws {
        let (_, lines) = try run("printf 'a\\377b\\n'")
        #expect(lines == ["a\u{FFFD}b"])
    }

    @Test("arguments arrive as they are, without a shell")
    func arguments() throws {
        var lines: [String] = []
        try withLoop { loop in
            _ = try ChildProcess(
                loop: loop, program: "printf", arguments: ["%s|", "a b", "$HOME", ""],
                output: .captured, onLine: { lines.append($0) }, onExit: { _ in })
        }
        #expect(lines == ["a b|$HOME||"])
    }

    @Test("a program that is not there is an error that names it, and leaves nothing")
    func missing() throws {
        try withLoop { loop in
            let error = #expect(throws: UVError.self) {
                _ = try ChildProcess(
                    loop: loop, program: "/no/such/program", arguments: [], output: .captured,
                    onExit: { _ in Issue.record("nothing ran") })
            }
            #expect(error?.description == "start /no/such/program: no such file or directory")
        }
    }

    @Test("closing kills and reaps a child that runs, and drops its callback")
    func close() throws {
        var identifier: Int32 = 0
        weak var watched: ChildProcess?
        try withLoop { loop in
            let child = try ChildProcess(
                loop: loop, command: "echo up; exec sleep 100", output: .captured,
                onLine: { _ in loop.stop() }, onExit: { _ in Issue.record("dropped by close") })
            identifier = child.identifier
            watched = child
            loop.run()
            #expect(exists(identifier) && child.isRunning)
            child.close()
            child.close()
        }
        #expect(!exists(identifier))
        #expect(watched == nil)
    }

    @Test("a signal reaches it")
    func sendSignal() throws {
        var exit: ChildProcess.Exit?
        try withLoop { loop in
            var child: ChildProcess?
            child = try ChildProcess(
                loop: loop, command: "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done",
                output: .captured, onLine: { _ in child?.signal(ChildProcess.terminate) }
            ) {
                exit = $0
                child = nil
            }
        }
        #expect(exit == ChildProcess.Exit(code: 7))
    }

    @Test("what the child leaves running does not delay the news of its end")
    func orphan() throws {
        let (exit, lines) = try run("sleep 100 & echo $!")
        #expect(exit?.isSuccess == true)
        let orphan = try #require(lines.first.flatMap { Int32($0) })
        #expect(exists(orphan), "only the child itself has ended")
        Foundation.kill(orphan, SIGKILL)
    }

    @Test("it starts with no signal blocked, and its end is noticed, whatever this thread blocks")
    func signalMask() throws {
        var blocked = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGUSR1)
        sigaddset(&blocked, SIGCHLD)
        var former = sigset_t()
        pthread_sigmask(SIG_BLOCK, &blocked, &former)
        defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
        let (_, lines) = try run("grep SigBlk /proc/self/status || echo SigBlk: 0000000000000000")
        #expect(lines == ["SigBlk:\t0000000000000000"] || lines == ["SigBlk: 0000000000000000"])
    }

    @Test("several at once: each gets its own end")
    func several() throws {
        var codes: [Int: Int] = [:]
        try withLoop { loop in
            for code in 1...20 {
                _ = try ChildProcess(loop: loop, command: "exit \(code)") { codes[code] = $0.code }
            }
        }
        #expect(codes == Dictionary(uniqueKeysWithValues: (1...20).map { ($0, $0) }))
    }
}
