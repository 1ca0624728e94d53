import Foundation
import Pacing
import Reactor
import Testing

@testable import ProxyReload

/// The bench against real peers on loopback.
@Suite(.serialized) struct BenchTests {
    @Test(
        "every request has a row; read back, the rows give the aggregate line; the backend agrees")
    func recording() throws {
        let folder = try Folder()
        var backends: [BackendService] = []
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop, "pod, \"1\"".filter { $0 != "," && $0 != "\"" }) {
                $0.closeAfter = 7
            }
            backends = [backend]
            try bench(loop, backend.address, csv: folder.path("data.csv")) {
                $0.clients = 5
                $0.requests = 5000
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
        }
        let rows = try Recording(folder.path("data.csv"))
        let total = try #require(report).timeline.total
        #expect(rows.rows.count == 5000 && total.requests == 5000)
        #expect(rows.aggregateLine == report?.aggregateLine)
        #expect(report?.text.hasSuffix("\n" + rows.aggregateLine + "\n") == true)
        #expect(backends.first?.answered == 5000)
        #expect(total.successes == 5000, "a close that was announced breaks nothing")
        #expect(total.frontChanges >= 5000 / 7 - 5, "each connection carried seven requests")
        #expect(total.frontChanges == total.backChanges, "no proxy between: both ports are one")
        #expect(rows.rows.allSatisfy { $0[3] == "pod 1" && $0[4] == $0[5] })
        let times = rows.rows.compactMap { Int($0[0]) }
        #expect(times == times.sorted() && times.count == 5000)
    }

    @Test("names with commas and quotes come back from the recording")
    func quoting() throws {
        let folder = try Folder()
        try withLoop { loop in
            let backend = try backend(loop, "a,\"b\"")
            try bench(loop, backend.address, csv: folder.path("data.csv")) {
                $0.clients = 1
                $0.requests = 2
            } done: { _ in
                backend.drain(grace: .seconds(1)) {}
            }
        }
        let data = try #require(FileManager.default.contents(atPath: folder.path("data.csv")))
        let text = String(decoding: data, as: UTF8.self)
        #expect(text.components(separatedBy: ",200,\"a,\"\"b\"\"\",").count == 3)
    }

    @Test("by time: whatever was sent is waited for, so that peer and recording agree")
    func duration() throws {
        let folder = try Folder()
        var answered = 0
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop) { $0.delay = .milliseconds(5) }
            try bench(loop, backend.address, csv: folder.path("data.csv")) {
                $0.duration = .milliseconds(60)
            } done: {
                report = $0
                answered = backend.answered
                backend.drain(grace: .seconds(1)) {}
            }
        }
        let rows = try Recording(folder.path("data.csv"))
        #expect(rows.rows.count == answered && answered > 0)
        #expect(report?.timeline.total.requests == answered)
        #expect(report?.inFlight == 0)
        #expect(report?.text.contains("coordinated omission") == true)
    }

    @Test("open loop: as many requests as were due, and not one more")
    func openLoop() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop)
            try bench(loop, backend.address) {
                $0.duration = .milliseconds(200)
                $0.rate = 1000
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
        }
        let done = try #require(report)
        #expect(done.timeline.total.requests + done.unsent == 200)
        #expect(done.timeline.total.requests > 0)
        #expect(done.text.contains("coordinated omission") == false)
        #expect(done.text.contains("open loop at 1000/s"))
    }

    @Test("header names in any case, interim responses and chunks are understood")
    func response() throws {
        var report: BenchReport?
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { _, request in
                .bytes(
                    "HTTP/1.1 103 Early Hints\r\nBackend-Id: wrong\r\n\r\nHTTP/1.1 200 OK\r\n"
                        + "bAcKeNd-iD: x\r\nSOURCE-PORT: \(request + 1)\r\n"
                        + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
            }
            try bench(loop, peer.address) {
                $0.clients = 1
                $0.requests = 10
            } done: {
                report = $0
                peer.close()
            }
        }
        let done = try #require(report)
        #expect(
            done.aggregateLine == "success: 10 failure: 0 front changed: 0 back changed: 9")
        #expect(done.timeline.instances.names == ["x"])
    }

    @Test(
        "whatever a peer does is one row with its reason, and the client goes on",
        arguments: [
            (ScriptedPeer.Answer.reset, RequestOutcome.reusedReset), (.close, .reusedClosed),
            (.bytes("not http\r\n\r\n"), .malformed), (.silence, .timedOut),
            (.bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), .timedOut),
            (
                .bytes(ProxyReloadTests.response("503 No")), RequestOutcome(status: 503)
            ),
        ])
    func failures(answer: ScriptedPeer.Answer, outcome: RequestOutcome) throws {
        let folder = try Folder()
        var report: BenchReport?
        var requests = 0
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { connection, request in
                connection == 0 && request == 1 ? answer : .bytes(ProxyReloadTests.response())
            }
            try bench(loop, peer.address, csv: folder.path("data.csv")) {
                $0.clients = 1
                $0.requests = 4
                // Only where it has to pass: on a busy machine a good answer may take as long.
                $0.timeout = outcome == .timedOut ? .milliseconds(200) : .seconds(20)
            } done: {
                report = $0
                requests = peer.requests
                peer.close()
            }
        }
        let rows = try Recording(folder.path("data.csv"))
        let isAnswered = outcome.isAnswered
        #expect(rows.rows.map { $0[2] } == ["200", "\(outcome)", "200", "200"])
        #expect(rows.rows[1][3] == (isAnswered ? "x" : ""))
        #expect(rows.rows[1][4] == rows.rows[0][4], "the connection it was sent on is known")
        #expect((rows.rows[2][4] != rows.rows[0][4]) != isAnswered, "a new connection after it")
        #expect(requests == 4, "nothing is sent twice")
        #expect(report?.timeline.total.failures == [outcome: 1])
        #expect(rows.aggregateLine == report?.aggregateLine)
    }

    @Test("bytes that nobody asked for end the connection, but no request")
    func surplus() throws {
        var report: BenchReport?
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { _, _ in
                .bytes(ProxyReloadTests.response() + "surplus")
            }
            try bench(loop, peer.address) {
                $0.clients = 1
                $0.requests = 5
            } done: {
                report = $0
                peer.close()
            }
        }
        #expect(
            report?.aggregateLine == "success: 5 failure: 0 front changed: 4 back changed: 0")
    }

    @Test("a proxy that is killed and started again: each refused attempt is a row")
    func restart() throws {
        let folder = try Folder()
        var report: BenchReport?
        try withLoop { loop in
            let first = try ScriptedPeer(loop) { _, _ in .bytes(ProxyReloadTests.response()) }
            let address = try #require(first.address)
            let running = try bench(loop, address, csv: folder.path("data.csv")) {
                $0.clients = 2
            } done: {
                report = $0
            }
            func total() -> TimelinePeriod { running.report.timeline.total }
            when(loop, { total().successes > 20 }) {
                first.close()
                when(loop, { total().failures[.refused] ?? 0 >= 6 }) {
                    let before = total().successes
                    do {
                        let second = try ScriptedPeer(loop, on: address) { _, _ in
                            .bytes(ProxyReloadTests.response(port: 78))
                        }
                        when(loop, { total().successes > before + 20 }) {
                            running.stop()
                            when(loop, { report != nil }) { second.close() }
                        }
                    } catch {
                        Issue.record(error)
                        running.stop()
                    }
                }
            }
        }
        let rows = try Recording(folder.path("data.csv"))
        #expect(rows.aggregateLine == report?.aggregateLine)
        let failures = try #require(report).timeline.total.failures
        #expect((failures[.refused] ?? 0) >= 6)
        let breaks: [RequestOutcome] = [.reset, .closed, .reusedReset, .reusedClosed]
        #expect(breaks.reduce(0) { $0 + (failures[$1] ?? 0) } <= 2, "one a client at most")
        #expect(rows.rows.last?[5] == "78" && rows.rows.first?[5] == "77")
        #expect(rows.rows.allSatisfy { $0[2] != "connection refused" || $0[4].isEmpty })
    }
}
