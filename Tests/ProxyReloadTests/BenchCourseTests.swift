import Foundation
import Pacing
import Reactor
import Testing

@testable import ProxyReload

/// Events, endings, and trouble with the recording.
@Suite(.serialized) struct BenchCourseTests {
    @Test("commands run at their times, and the summary tells how they ended")
    func commands() throws {
        let folder = try Folder()
        var report: BenchReport?
        var log: [String] = []
        try withLoop { loop in
            let backend = try backend(loop)
            let running = try bench(loop, backend.address, csv: folder.path("data.csv")) {
                $0.duration = .milliseconds(1200)
                $0.commands = [
                    ScheduledCommand(after: .milliseconds(100), command: "true"),
                    ScheduledCommand(after: .milliseconds(700), command: "exit 3"),
                ]
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
            running.onLog = { log.append($0) }
        }
        let done = try #require(report)
        let events = done.timeline.events
        try #require(events.count == 2)
        #expect(events.map(\.result) == ["exit code 0", "exit code 3"])
        #expect(events.map(\.isGood) == [true, false])
        #expect(events[0].startNanoseconds >= 100_000_000)
        #expect(events[1].startNanoseconds >= 700_000_000)
        // On a busy machine the first command may end after the second one.
        #expect(log.count == 4)
        #expect(log.contains { $0.contains("event 1 at ") && $0.hasSuffix(": true") })
        #expect(
            log.contains { $0.hasPrefix("event 2 FAILED after ") && $0.hasSuffix("exit code 3") })
        let rows = try Recording(folder.path("data.csv"))
        #expect(Set(rows.rows.map { $0[7] }) == ["", "1", "2"])
        let windows = done.timeline.windows
        #expect(windows[0].window.requests == rows.rows.count { $0[7] == "1" })
        #expect(windows[1].window.requests == rows.rows.count { $0[7] == "2" })
    }

    @Test("a command that does not end is killed after the grace, and says so")
    func stuckCommand() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            try bench(loop, backend.address) {
                $0.duration = .milliseconds(50)
                $0.grace = .milliseconds(10)
                $0.commands = [ScheduledCommand(after: .zero, command: "exec sleep 100")]
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
        }
        #expect(report?.timeline.events.map(\.result) == ["signal 9"])
    }

    @Test("a command that runs when the test is given up was killed: its event has failed")
    func abandoned() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            let running = try bench(loop, backend.address) {
                $0.grace = .seconds(3600)
                $0.commands = [ScheduledCommand(after: .zero, command: "exec sleep 100")]
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
            when(loop, { running.isRunningCommand }) {
                running.stop()
                running.stop()
            }
        }
        let event = try #require(report?.timeline.events.first)
        #expect(event.result == "still running at the end, and killed" && !event.isGood)
        #expect(report?.failedEvents == [event])
    }

    @Test("a command beyond the last event that is listed has failed all the same")
    func failedFurther() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            let running = try bench(loop, backend.address) {
                $0.commands = ["exit 3", "true", "exit 4"].map {
                    ScheduledCommand(after: .milliseconds(50), command: $0)
                }
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
            var ended = 0
            running.onLog = { [unowned running] line in
                if line.contains("without number ended") || line.contains("number FAILED") {
                    ended += 1
                    if ended == 3 { running.stop() }
                }
            }
            when(loop, { running.isMeasuring }) {
                for _ in 0..<ReloadTimeline.eventLimit { running.mark() }
            }
        }
        let done = try #require(report)
        #expect(done.failedEvents.isEmpty && done.timeline.uncountedEvents == 3)
        #expect(done.text.contains("\nfurther events, without windows: 3, 2 of them FAILED\n"))
    }

    @Test("a mark by hand opens a window")
    func mark() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            let running = try bench(loop, backend.address) { _ in
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
            running.mark()  // nothing has begun yet
            when(loop, { running.report.timeline.total.requests > 10 }) {
                running.mark()
                when(loop, { (running.report.timeline.windows.first?.window.requests ?? 0) > 10 }) {
                    running.stop()
                }
            }
        }
        let done = try #require(report)
        #expect(done.timeline.events.map(\.isMark) == [true])
        #expect(done.text.contains("\nmark 1 at "))
    }

    @Test("stopped twice, requests under way are given up and counted as such")
    func stoppedTwice() throws {
        var report: BenchReport?
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { _, _ in .silence }
            let running = try bench(loop, peer.address) { _ in
            } done: {
                report = $0
                peer.close()
            }
            when(loop, { peer.requests == 3 }) {
                running.stop()
                #expect(report == nil, "answers may still come")
                running.stop()
            }
        }
        #expect(report?.inFlight == 3 && report?.timeline.total.requests == 0)
    }

    @Test("stopped before it has begun, it ends with nothing")
    func stoppedEarly() throws {
        var report: BenchReport?
        try withLoop { loop in
            let running = try bench(loop, SocketAddress(.loopbackV4, port: 9)) { _ in
            } done: {
                report = $0
            }
            running.stop()
        }
        #expect(report?.timeline.total.requests == 0)
    }

    @Test("a full disk ends the test with its reason, and what was measured is told")
    func fullDisk() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            try bench(loop, backend.address, csv: "/dev/full") { _ in
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
        }
        #expect(report?.recordingFailure == "write /dev/full: no space left on device")
        #expect((report?.timeline.total.successes ?? 0) > 0)
    }

    @Test("a recording that cannot be written fast enough pauses the clients; no row is lost")
    func slowDisk() throws {
        let folder = try Folder()
        let path = folder.path("fifo")
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { close(reader) }
        var text: [UInt8] = []
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            let running = try bench(loop, backend.address, csv: path) {
                $0.highWaterBytes = 300_000
                $0.requests = 20_000
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
            func read() {
                var piece = [UInt8](repeating: 0, count: 1 << 16)
                while case let count = Foundation.read(reader, &piece, piece.count), count > 0 {
                    text += piece[..<count]
                }
            }
            // Nobody reads until the clients have stopped; then the reader takes everything.
            when(loop, { running.report.held > .zero }) {
                let before = running.report.timeline.total.requests
                #expect(before < 20_000)
                when(
                    loop,
                    {
                        read(); return report != nil
                    }
                ) { read() }
            }
        }
        let done = try #require(report)
        #expect(done.held > .zero && done.text.contains("paused "))
        #expect(done.timeline.total.requests == 20_000)
        #expect(text.count { $0 == UInt8(ascii: "\n") } == 20_001)
    }

    @Test("what cannot begin is an error with its reason, and leaves nothing open")
    func unavailable() throws {
        let nobody = SocketAddress(.loopbackV4, port: 9)
        let (csv, reason) = ("/no/such/folder/x.csv", "no such file or directory")
        #expect(try failure(of: "http://127.0.0.1:9/", csv: csv) == "write \(csv): \(reason)")
        let other = try failure(of: "http://127.0.0.1:9/", csv: nil) { bench in
            bench.onReady = { () throws(UVError) in _ = try OutputFile(path: csv) }
        }
        #expect(other == "write \(csv): \(reason)")
        try withLoop { loop in
            let refused = #expect(throws: BenchFailure.self) {
                try bench(loop, nobody, { $0.host = "a\r\nb" }, done: { _ in })
            }
            #expect(refused?.description.contains("invalid field value") == true)
        }
    }

    @Test("a host that nobody knows is a failure that names it, and leaves the files as they were")
    func unknownHost() throws {
        let folder = try Folder()
        let csv = folder.path("data.csv")
        try "earlier rows".write(toFile: csv, atomically: true, encoding: .utf8)
        let reason = try failure(of: "http://no.such.host.invalid/", csv: csv) { bench in
            bench.onReady = { Issue.record("nothing to be ready for") }
        }
        #expect(reason?.hasPrefix("resolve no.such.host.invalid: ") == true)
        #expect(try String(contentsOfFile: csv, encoding: .utf8) == "earlier rows")
    }

    /// Why a bench could not begin, by the way of its end; nil when it could.
    private func failure(
        of url: String, csv: String?, _ change: (Bench) -> Void = { _ in }
    ) throws -> String? {
        var failure: BenchFailure?
        try withLoop { loop in
            var configuration = BenchConfiguration(url: try BenchURL(url))
            configuration.csvPath = csv
            configuration.requests = 1  // where it begins although it must not
            var held: Bench?
            let bench = Bench(loop: loop, configuration: configuration) { result in
                if case .failure(let reason) = result { failure = reason }
                _ = held
                held = nil
            }
            held = bench
            change(bench)
            try bench.start()
        }
        return failure?.description
    }

    @Test("the JSON document and the live status say the same as the summary")
    func documents() throws {
        var report: BenchReport?
        var status: [String] = []
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { connection, request in
                request == 4 ? .reset : .bytes(ProxyReloadTests.response(port: 100 + connection))
            }
            let running = try bench(loop, peer.address) {
                $0.requests = 300
                $0.commands = [ScheduledCommand(after: .zero, command: "echo 'a \"b\"' >/dev/null")]
            } done: {
                report = $0
                peer.close()
            }
            running.onTick = { [unowned running] in status = running.status }
            when(loop, { running.report.timeline.total.requests > 0 }) { status = running.status }
        }
        let done = try #require(report)
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(done.json)) as? [String: Any])
        let total = done.timeline.total
        #expect(object["requests"] as? Int == 300)
        #expect(object["success"] as? Int == total.successes)
        #expect(object["failure"] as? Int == total.failureCount && total.failureCount > 0)
        #expect(object["frontchanged"] as? Int == total.frontChanges)
        #expect(object["backchanged"] as? Int == total.backChanges)
        #expect(
            object["failures"] as? [String: Int] == ["reused connection reset": total.failureCount])
        #expect(object["loop"] as? String == "closed" && object["rate"] is NSNull)
        let latency = try #require(object["latency"] as? [String: Any])
        #expect(latency["maxms"] as? Double == total.latency.maximum?.inMilliseconds)
        let events = try #require(object["events"] as? [[String: Any]])
        #expect(events.count == 1)
        #expect(events[0]["command"] as? String == "echo 'a \"b\"' >/dev/null")
        #expect(events[0]["result"] as? String == "exit code 0")
        #expect(status.allSatisfy { $0.count <= 78 } && status.count >= 4)
        #expect(status.contains { $0.hasPrefix("x ") })
    }
}

/// What the backend answers.
@Suite(.serialized) struct BackendTests {
    /// Sends bytes on a connection of its own and gives back all that came until `count` responses.
    private func exchange(
        _ configure: (inout BackendConfiguration) -> Void, _ request: String, until end: String
    ) throws -> (text: String, port: UInt16, hasEnded: Bool) {
        var text = ""
        var port: UInt16 = 0
        var hasEnded = false
        try withLoop { loop in
            let backend = try backend(loop, "a", configure)
            let connection = TCPConnection(loop: loop)
            func done() {
                connection.close()
                backend.drain(grace: .seconds(1)) {}
            }
            connection.onRead = {
                text += String(decoding: $1, as: UTF8.self)
                if text.hasSuffix(end), end != "" { done() }
            }
            connection.onEnd = { _, _ in
                hasEnded = true
                done()
            }
            connection.connect(to: try #require(backend.address), readsAtOnce: true) {
                connection, _ in
                port = connection.localAddress?.port ?? 0
                connection.write(Array(request.utf8))
            }
        }
        return (text, port, hasEnded)
    }

    @Test("any GET gets 200, the instance's name and the peer's port")
    func get() throws {
        let answer = try exchange(
            { _ in }, "GET /any?thing HTTP/1.1\r\nHost: x\r\n\r\n", until: "a\n")
        #expect(answer.text.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(answer.text.contains("Backend-Id: a\r\n"))
        #expect(answer.text.contains("Source-Port: \(answer.port)\r\n"))
        #expect(!answer.hasEnded)
    }

    @Test("HEAD is answered without content, other methods with 405")
    func otherMethods() throws {
        let head = try exchange(
            { _ in }, "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", until: "\r\n\r\n")
        #expect(head.text.contains("Backend-Id: a\r\n"))
        let post = try exchange(
            { _ in }, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", until: "\n")
        #expect(post.text.hasPrefix("HTTP/1.1 405 "))
    }

    @Test("after so many requests the connection closes, announced, if it is told to")
    func closeAfter() throws {
        let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        let answer = try exchange({ $0.closeAfter = 2 }, request + request + request, until: "")
        #expect(answer.text.components(separatedBy: "HTTP/1.1 200 OK").count == 3)
        #expect(answer.text.contains("Connection: close\r\n") && answer.hasEnded)
    }
}
