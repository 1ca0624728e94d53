import Foundation
import Pacing
import Reactor
import Testing

@testable import ProxyReload

/// Figures that a reader would take at their word.
@Suite(.serialized) struct BenchTruthTests {
    @Test("the rate counts the time in which the requests ended, not only began")
    func rate() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop) { $0.delay = .milliseconds(50) }
            try bench(loop, backend.address) {
                $0.requests = 3
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
        }
        let done = try #require(report)
        let slowest = try #require(done.timeline.total.latency.maximum)
        #expect(done.rate * (slowest / .seconds(1)) <= 3, "three at once, none twice")
        #expect(done.elapsedNanoseconds >= slowest.nanoseconds)
    }

    @Test("the closed loop, too, tells how late the bench itself was")
    func ownDelay() throws {
        var report: BenchReport?
        try withLoop { loop in
            let backend = try backend(loop) { $0.delay = .milliseconds(5) }
            try bench(loop, backend.address) {
                $0.duration = .milliseconds(60)
            } done: {
                report = $0
                backend.drain(grace: .seconds(1)) {}
            }
        }
        let done = try #require(report)
        #expect(done.delays.count > 0 && done.text.contains("own delay  p99 "))
    }

    @Test(
        "a reused connection that ends before the first byte is a kind of its own",
        arguments: [
            // Where it happens, and what: at the first request, at the second, amid an answer.
            (0, ScriptedPeer.Answer.reset, "connection reset"),
            (0, .close, "connection closed"),
            (1, .reset, "reused connection reset"), (1, .close, "reused connection closed"),
        ])
    func keepAliveRace(request: Int, answer: ScriptedPeer.Answer, words: String) throws {
        let folder = try Folder()
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { connection, number in
                connection == 0 && number == request
                    ? answer : .bytes(ProxyReloadTests.response())
            }
            try bench(loop, peer.address, csv: folder.path("data.csv")) {
                $0.clients = 1
                $0.requests = 4
            } done: { _ in
                peer.close()
            }
        }
        let statuses = try Recording(folder.path("data.csv")).rows.map { $0[2] }
        #expect(statuses.filter { $0 != "200" } == [words])
    }

    @Test("what this machine could not send is no failure of the target's")
    func local() {
        var timeline = ReloadTimeline(clients: 1, window: .seconds(1))
        let outcomes: [RequestOutcome] = [
            RequestOutcome(status: 200), .noPort, .reset, .noDescriptor,
        ]
        for (time, outcome) in outcomes.enumerated() {
            timeline.record(
                RequestRecord(
                    nanoseconds: Int64(time), latencyNanoseconds: 0, client: 0, outcome: outcome))
        }
        #expect(timeline.total.requests == 4 && timeline.total.failureCount == 1)
        #expect(timeline.total.failures == [.reset: 1])
        #expect(timeline.total.locals == [.noPort: 1, .noDescriptor: 1])
        #expect(timeline.failures.map(\.outcome) == [.reset])
        #expect(timeline.lanes[0].failures.count == 1)
        #expect(timeline.bins.bins.map(\.failures) == [1])
    }

    @Test("errors of connecting are sorted into this machine's own and the target's")
    func connecting() {
        func outcome(_ code: Int32, _ operation: String = "connect") -> RequestOutcome {
            RequestOutcome(connecting: UVError(operation: operation, code: -code))
        }
        #expect(outcome(EMFILE) == .noDescriptor && outcome(ENFILE) == .noDescriptor)
        #expect(outcome(EADDRNOTAVAIL) == .noPort && outcome(EADDRINUSE) == .noPort)
        #expect(outcome(ENOBUFS) == .local && outcome(EPERM, "bind") == .local)
        #expect(outcome(ECONNREFUSED) == .refused && outcome(EHOSTUNREACH) == .unreachable)
        #expect(!RequestOutcome.unanswered.contains { $0.isLocal })
        #expect(RequestOutcome.locals.allSatisfy { $0.isLocal && !$0.isFailure && !$0.isAnswered })
        for outcome in RequestOutcome.locals { #expect("\(outcome)".hasPrefix("local: ")) }
    }

    @Test("a recording is UTF-8 whatever the names are, and no name is cut within a letter")
    func names() throws {
        let folder = try Folder()
        let names = ["b\u{FF}", "é\u{C3}", "x" + String(repeating: "ä", count: 200), "\u{80}"]
        // Above 0x7F each letter is sent as one byte, Latin-1 as it were, but for the third name.
        func sent(_ name: String) -> [UInt8] {
            name.count > 100 ? Array(name.utf8) : name.unicodeScalars.map { UInt8($0.value) }
        }
        try withLoop { loop in
            let peer = try ScriptedPeer(loop) { _, request in
                .raw(
                    Array("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nBackend-Id: ".utf8)
                        + sent(names[request % names.count]) + Array("\r\n\r\n".utf8))
            }
            try bench(loop, peer.address, csv: folder.path("data.csv")) {
                $0.clients = 1
                $0.requests = 8
            } done: { _ in
                peer.close()
            }
        }
        let data = try #require(FileManager.default.contents(atPath: folder.path("data.csv")))
        let text = try #require(String(validating: data, as: UTF8.self))
        #expect(text.contains(",b\u{FFFD},"))
        #expect(text.contains(",x" + String(repeating: "ä", count: 127) + ","))
    }

    @Test("a client's lane has a gap from the last answer to the next where one waits long")
    func outage() throws {
        var timeline = ReloadTimeline(clients: 1, window: .seconds(1))
        // Every 10 ms an answer; after half a second none for one second, by the same instance and
        // without a failure: a proxy that stands still.
        let moments = (1...50).map { $0 * 10 } + (1...50).map { 1490 + $0 * 10 }
        var last = 0
        for moment in moments {
            timeline.record(
                RequestRecord(
                    nanoseconds: Int64(moment) * 1_000_000,
                    latencyNanoseconds: Int64(moment - last) * 1_000_000, client: 0,
                    outcome: RequestOutcome(status: 200), instance: 0, frontPort: 1, backPort: 1))
            last = moment
        }
        let segments = timeline.lanes[0].segments
        try #require(segments.count == 2)
        #expect(segments[0].startNanoseconds == 0 && segments[0].endNanoseconds == 500_000_000)
        #expect(segments[1].startNanoseconds == 1_500_000_000)
        #expect(segments[1].endNanoseconds == 1_990_000_000)
        #expect(segments.map(\.requests) == [50, 50])
    }
}
