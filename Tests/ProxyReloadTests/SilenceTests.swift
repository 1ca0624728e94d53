import Pacing
import Testing

@testable import ProxyReload

/// Who vanished, and who merely answers more seldom. A living instance never vanishes, wherever the
/// test is cut off.
@Suite struct SilenceTests {
    /// A timeline that is fed answer by answer, one each 0.1 ms, by clients in turns.
    private struct Feed {
        var timeline: ReloadTimeline
        var time: Int64 = 0
        var count = 0
        let clients: Int
        /// The port of each client's connection.
        var ports: [UInt16]

        init(clients: Int = 10, window: Duration = .seconds(10)) {
            timeline = ReloadTimeline(clients: clients, window: window)
            self.clients = clients
            ports = (0..<clients).map { UInt16(1000 + $0) }
            for name in ["a", "b", "c"] {
                Array(name.utf8).withUnsafeBytes { _ = timeline.instances.number(of: $0) }
            }
        }

        mutating func record(
            _ client: Int, _ outcome: RequestOutcome = RequestOutcome(status: 200),
            from instance: UInt16? = nil
        ) {
            time += 100_000
            timeline.record(
                RequestRecord(
                    nanoseconds: time, latencyNanoseconds: 1_000, client: client, outcome: outcome,
                    instance: instance, frontPort: ports[client], backPort: 1))
        }

        mutating func answer(_ instance: UInt16) {
            record(count % clients, from: instance)
            count += 1
        }

        mutating func event() { timeline.beginEvent(command: "x", at: time + 1) }

        var vanished: [UInt16] { timeline.windows.flatMap { $0.vanished.map(\.instance) } }
    }

    @Test("reweighted from 1:1 to 99:1 an instance does not vanish, after no answer at all")
    func reweighting() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var feed = Feed()
            for _ in 0..<2000 { feed.answer(UInt16.random(in: 0...1, using: &random)) }
            feed.event()
            // The new weights are there after a while, as with a reload.
            for _ in 0..<500 { feed.answer(UInt16.random(in: 0...1, using: &random)) }
            for number in 0..<5000 {
                feed.answer(Int.random(in: 0..<100, using: &random) == 0 ? 0 : 1)
                guard number % 10 == 0 else { continue }
                #expect(feed.vanished.isEmpty, "seed \(seed), after \(number)")
            }
        }
    }

    @Test("round robin in long turns (a connection each, say) makes nobody vanish")
    func roundRobin() {
        for turn in [1000, 5000] {
            var feed = Feed(clients: 1)
            for number in 0..<6 * turn { feed.answer(UInt16(number / turn % 3)) }
            feed.event()
            for number in 0..<9 * turn {
                feed.answer(UInt16(number / turn % 3))
                guard number % 100 == 0 else { continue }
                #expect(feed.vanished.isEmpty, "turns of \(turn), after \(number)")
            }
        }
    }

    @Test("a slow drain: while a connection to it is open it has not vanished, however few answers")
    func slowDrain() {
        var feed = Feed()
        // A connection belongs to one instance: clients 0 to 4 to a, the others to b.
        for _ in 0..<100 { for client in 0..<10 { feed.record(client, from: client < 5 ? 0 : 1) } }
        feed.event()
        // a's connections end one after the other, each properly, and come back to b. One goes on,
        // with an answer after thousands of the others'.
        for leaving in 1...4 {
            feed.ports[leaving] += 100
            for _ in 0..<50 { for client in 1..<10 { feed.record(client, from: 1) } }
        }
        for _ in 0..<4 {
            feed.record(0, from: 0)
            for number in 0..<1000 {
                for client in 1..<10 { feed.record(client, from: 1) }
                if number % 100 == 0 { #expect(feed.vanished.isEmpty) }
            }
        }
        // Then the last ends, properly: nothing proves that new ones would not come to a.
        feed.ports[0] += 100
        for _ in 0..<1000 { for client in 0..<10 { feed.record(client, from: 1) } }
        #expect(feed.vanished.isEmpty)
    }

    @Test("gone by chance: ten turns since the event, then 14 times its longest wait; not one less")
    func chance() throws {
        func feed(turns: Int, wait: Int, others: Int) -> [Silence] {
            var feed = Feed()
            for _ in 0..<1000 { for instance in [1, 0] { feed.answer(UInt16(instance)) } }
            feed.event()
            for _ in 0..<turns {
                for _ in 0..<wait { feed.answer(1) }
                feed.answer(0)
            }
            for _ in 0..<others { feed.answer(1) }
            return feed.timeline.windows.flatMap(\.silences)
        }
        let gone = try #require(feed(turns: 10, wait: 200, others: 2800).first)
        #expect(gone.evidence == .chance && gone.others == 2800 && gone.openConnections == 0)
        #expect(gone.sinceStartNanoseconds == 10 * 201 * 100_000 - 1)
        #expect(feed(turns: 10, wait: 200, others: 2799).map(\.evidence) == [nil])
        #expect(feed(turns: 9, wait: 200, others: 9999).map(\.evidence) == [nil], "share not known")
        #expect(feed(turns: 10, wait: 1, others: 1400).map(\.evidence) == [.chance])
        #expect(feed(turns: 10, wait: 1, others: 1399).map(\.evidence) == [nil])
        #expect(feed(turns: 0, wait: 1, others: 90_000).map(\.evidence) == [nil], "a fact, no more")
        #expect(feed(turns: 10, wait: 1, others: 27).isEmpty, "not worth a word")
    }

    /// Connections belong to instances: clients 0 to 4 to a, the others to b; then some break off.
    private func broken(_ clients: Range<Int>, _ outcome: RequestOutcome) -> [Silence] {
        var feed = Feed()
        for _ in 0..<100 { for client in 0..<10 { feed.record(client, from: client < 5 ? 0 : 1) } }
        feed.event()
        for client in clients {
            feed.record(client, outcome)
            feed.ports[client] += 100
        }
        for _ in 0..<100 { for client in 0..<10 { feed.record(client, from: 1) } }
        return feed.timeline.windows.flatMap(\.silences)
    }

    @Test("gone by its connections: they broke off, none came back, and others' went on")
    func connections() throws {
        let gone = try #require(broken(0..<5, .reusedReset).first)
        #expect(gone.evidence == .connections && gone.openConnections == 0)
        #expect(broken(0..<5, .closed).map(\.evidence) == [.connections])
        #expect(broken(0..<5, .timedOut).map(\.evidence) == [nil], "we gave them up ourselves")
        #expect(broken(0..<10, .reset).map(\.evidence) == [nil], "the proxy's end, not a's")
        #expect(broken(0..<4, .reset).isEmpty || broken(0..<4, .reset)[0].evidence == nil)
    }

    @Test("one connection that broke off, and whose successor went elsewhere, proves nothing")
    func oneConnection() {
        func silences(_ clients: Int) -> [Silence.Evidence?] {
            var feed = Feed()
            let own = 0..<clients
            for _ in 0..<100 {
                for client in 0..<10 { feed.record(client, from: own.contains(client) ? 0 : 1) }
            }
            feed.event()
            for client in own {
                feed.record(client, .reset)
                feed.ports[client] += 100
            }
            for _ in 0..<100 { for client in 0..<10 { feed.record(client, from: 1) } }
            return feed.timeline.windows.flatMap(\.silences).map(\.evidence)
        }
        #expect(silences(1) == [nil])
        #expect(silences(2) == [.connections])
    }

    @Test("before a proxy that chooses for each request, no connection tells of an instance")
    func sharedConnections() {
        var feed = Feed()
        for _ in 0..<100 { for instance in 0...1 { feed.answer(UInt16(instance)) } }
        feed.event()
        feed.record(0, .reset)
        feed.ports[0] += 100
        for _ in 0..<500 { feed.answer(1) }
        #expect(feed.timeline.windows.flatMap(\.silences).map(\.evidence) == [nil])
    }

    @Test("what answers again without an event was there all the time; with one, it came back")
    func comeback() throws {
        var feed = Feed(window: .milliseconds(100))
        for _ in 0..<500 { for instance in 0...1 { feed.answer(UInt16(instance)) } }
        feed.event()
        for _ in 0..<500 { for instance in 0...1 { feed.answer(UInt16(instance)) } }  // its window
        for _ in 0..<3000 { feed.answer(1) }
        #expect(feed.vanished == [0])
        var living = feed
        living.answer(0)
        #expect(living.timeline.windows.flatMap(\.silences).isEmpty)
        feed.event()
        feed.answer(0)
        #expect(feed.timeline.windows[0].vanished.map(\.instance) == [0])
        #expect(feed.timeline.windows[1].returned.map(\.instance) == [0])
    }

    @Test("text and JSON say the fact, and the verdict with its reason")
    func words() throws {
        var feed = Feed()
        for _ in 0..<1000 { for instance in 0...1 { feed.answer(UInt16(instance)) } }
        feed.event()
        for _ in 0..<11 { for instance in 0...1 { feed.answer(UInt16(instance)) } }
        for _ in 0..<1000 { feed.answer(1) }
        let url = try BenchURL("http://x/")
        func report() -> BenchReport {
            BenchReport(configuration: BenchConfiguration(url: url), timeline: feed.timeline)
        }
        let fact =
            "last answer from  a, 2.100 ms after the start; since then 1001 answers of others, 0 "
        #expect(report().text.contains(fact + "connections open to it\n"), "\(report().text)")
        #expect(report().text.contains("\n  a may be chosen more seldom now: nothing proves that"))
        func json() -> String { String(decoding: report().json, as: UTF8.self) }
        #expect(
            json().contains(
                "\"answersofothers\":1001,\"openconnections\":0,\"vanished\":false,"
                    + "\"evidence\":null"))
        for _ in 0..<1000 { feed.answer(1) }
        #expect(
            report().text.contains("\n  a vanished: at its share since the event, chance"))
        #expect(json().contains("\"vanished\":true,\"evidence\":\"chance\""))
    }
}
