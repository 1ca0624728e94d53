import Pacing
import Testing

@testable import HTTPCodec

@Suite struct PoolMachineTests {
    @Test("a line serves by coming, of all or of one key, and forgets who has left")
    func waitingLine() {
        var random = SeededRandom(seed: 7)
        var line = WaitingLine<Int, Int>()
        var model: [(ticket: UInt64, key: Int, waiter: Int)] = []
        for step in 0..<20_000 {
            // Grows, shrinks and is empty now and then.
            let grows = step / 1000 % 2 == 0
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<(grows ? 6 : 3):
                let key = Int.random(in: 0..<5, using: &random)
                model.append((line.append(step, key), key, step))
            case 6, 7:
                let index = Int.random(in: 0..<(model.count + 1), using: &random)
                if index < model.count { line.remove(model.remove(at: index).ticket) }
            case 8:
                let served = line.popFirst()
                #expect(served == model.first?.waiter)
                if !model.isEmpty { model.removeFirst() }
            default:
                let key = Int.random(in: 0..<5, using: &random)
                let index = model.firstIndex { $0.key == key }
                let served = line.popFirst(of: key)
                #expect(served == index.map { model[$0].waiter })
                if let index { model.remove(at: index) }
            }
            #expect(line.count == model.count && line.isEmpty == model.isEmpty)
            #expect(line.ticketCount <= 4 * model.count + 64, "what is stale is cleared away")
        }
        let nobody = line.popFirst(of: 99)
        #expect(nobody == nil)
        line.remove(0)
        line.remove(1)
        #expect(line.count == model.count)
    }

    // MARK: - The pool

    private typealias Pool = ClientPoolMachine<String, Int, String>

    private let t0 = Instant(nanoseconds: 1_000_000_000)

    private func pool(_ connections: Int, perOrigin: Int = 100, idle: Int = 100) -> Pool {
        Pool(
            limits: .init(
                connections: connections, connectionsPerOrigin: perOrigin, idlePerOrigin: idle,
                idleTime: .seconds(30)))
    }

    /// What the pool asks for, as words.
    private func words(
        _ pool: inout Pool, _ event: (inout Pool, inout [Pool.Action]) -> Void
    ) -> [String] {
        var actions: [Pool.Action] = []
        event(&pool, &actions)
        return actions.map {
            switch $0 {
            case .use(let connection, let call): "\(call) on \(connection)"
            case .open(let call): "open for \(call)"
            case .close(let connection): "close \(connection)"
            }
        }
    }

    private func check(
        _ pool: inout Pool, _ expected: [String], _ location: SourceLocation = #_sourceLocation,
        _ event: (inout Pool, inout [Pool.Action]) -> Void
    ) {
        let found = words(&pool, event)
        #expect(found == expected, sourceLocation: location)
    }

    @Test("the connection used last is used again, and one that was kept for its time is closed")
    func keeping() {
        var pool = pool(10)
        for call in ["a", "b"] {
            check(&pool, ["open for \(call)"]) { _ = $0.request(call, to: "x", &$1) }
        }
        for (connection, after) in [(1, 0), (2, 10)] {
            let now = t0 + .seconds(Int64(after))
            check(&pool, []) { _ = $0.becameIdle(connection, of: "x", now: now, &$1) }
        }
        #expect(pool.nextDeadline == t0 + .seconds(30) && pool.idleCount == 2)
        check(&pool, ["c on 2"]) { _ = $0.request("c", to: "x", &$1) }
        check(&pool, ["open for d"]) { _ = $0.request("d", to: "y", &$1) }
        check(&pool, []) { $0.tick(now: t0 + .milliseconds(29_999), &$1) }
        check(&pool, ["close 1"]) { $0.tick(now: t0 + .seconds(30), &$1) }
        #expect(pool.idleCount == 0 && pool.nextDeadline == nil && pool.connectionCount == 3)
        check(&pool, []) { $0.ended("x", &$1) }
        #expect(pool.connectionCount == 2)
    }

    @Test("more than may be kept of one origin is closed")
    func idleLimit() {
        var pool = pool(10, idle: 1)
        for call in ["a", "b"] { _ = words(&pool) { _ = $0.request(call, to: "x", &$1) } }
        check(&pool, []) { _ = $0.becameIdle(1, of: "x", now: t0, &$1) }
        check(&pool, ["close 2"]) { _ = $0.becameIdle(2, of: "x", now: t0, &$1) }
        var token: DeadlineToken?
        let kept = words(&pool) { token = $0.becameIdle(3, of: "y", now: t0, &$1) }
        #expect(kept == [])
        // One that closes by itself is given to nobody.
        if let token { pool.forget(token, of: "y") }
        #expect(pool.idleConnections == [1] && pool.idleCount == 1)
    }

    @Test("who comes first is served first, and a limit of one origin holds up nobody else")
    func limits() {
        var pool = pool(3, perOrigin: 2)
        for call in ["a", "b"] { _ = words(&pool) { _ = $0.request(call, to: "x", &$1) } }
        check(&pool, []) { _ = $0.request("c", to: "x", &$1) }
        check(&pool, ["open for d"]) { _ = $0.request("d", to: "y", &$1) }
        check(&pool, []) { _ = $0.request("e", to: "z", &$1) }
        var ticket: UInt64?
        let late = words(&pool) { ticket = $0.request("f", to: "z", &$1) }
        #expect(late == [])
        // The first in line cannot use it: its origin is full.
        check(&pool, ["open for e"]) { $0.ended("y", &$1) }
        if let ticket { pool.withdraw(ticket) }
        check(&pool, ["c on 1"]) { _ = $0.becameIdle(1, of: "x", now: t0, &$1) }
        check(&pool, []) { $0.ended("x", &$1) }
        #expect(pool.waitingCount == 0 && pool.connectionCount == 2)
    }

    @Test("an idle connection makes room for those who wait for another origin")
    func room() {
        var pool = pool(1)
        check(&pool, ["open for a"]) { _ = $0.request("a", to: "x", &$1) }
        check(&pool, []) { _ = $0.becameIdle(1, of: "x", now: t0, &$1) }
        check(&pool, ["close 1"]) { _ = $0.request("b", to: "y", &$1) }
        check(&pool, ["open for b"]) { $0.ended("x", &$1) }
        check(&pool, []) { _ = $0.request("c", to: "x", &$1) }
        check(&pool, ["close 2"]) { _ = $0.becameIdle(2, of: "y", now: t0, &$1) }
        check(&pool, ["open for c"]) { $0.ended("y", &$1) }
    }

    @Test("of several, the one that has been idle longest makes room")
    func oldest() {
        var pool = pool(3)
        for (call, origin) in [("a", "x"), ("b", "y"), ("c", "y")] {
            check(&pool, ["open for \(call)"]) { _ = $0.request(call, to: origin, &$1) }
        }
        for (connection, origin) in [(2, "y"), (1, "x"), (3, "y")] {
            check(&pool, []) { _ = $0.becameIdle(connection, of: origin, now: t0, &$1) }
        }
        for (call, closed) in [("d", 2), ("e", 1)] {
            check(&pool, ["close \(closed)"]) { _ = $0.request(call, to: "z", &$1) }
        }
        #expect(pool.idleConnections == [3] && pool.waitingCount == 2)
    }

    // MARK: - The race of addresses

    private typealias Race = AddressRaceMachine

    private func actions(
        _ race: inout Race, _ event: (inout Race, inout [Race.Action]) -> Void
    ) -> [Race.Action] {
        var actions: [Race.Action] = []
        event(&race, &actions)
        return actions
    }

    private func check(
        _ race: inout Race, _ expected: [Race.Action],
        _ location: SourceLocation = #_sourceLocation,
        _ event: (inout Race, inout [Race.Action]) -> Void
    ) {
        let found = actions(&race, event)
        #expect(found == expected, sourceLocation: location)
    }

    @Test("families take turns, each in its order")
    func order() {
        #expect(Race.interleaved([true, true, true, false, false]) == [0, 3, 1, 4, 2])
        #expect(Race.interleaved([false, true, false]) == [0, 1, 2])
        #expect(Race.interleaved([false, false]) == [0, 1])
        #expect(Race.interleaved([]) == [])
    }

    @Test("a silent address is joined by the next after a quarter of a second; the first wins")
    func silent() {
        var race = Race(isIPv6: [true, false, true])
        check(&race, [.dial(0)]) { $0.start(now: t0, &$1) }
        #expect(race.nextDeadline == t0 + .milliseconds(250))
        check(&race, []) { $0.tick(now: t0 + .milliseconds(249), &$1) }
        let later = t0 + .milliseconds(250)
        check(&race, [.dial(1)]) { $0.tick(now: later, &$1) }
        #expect(race.nextDeadline == later + .milliseconds(250))
        check(&race, [.won(1), .abandon(0)]) { $0.connected(1, &$1) }
        #expect(race.nextDeadline == nil)
        // What comes late is nobody's.
        check(&race, []) { $0.connected(0, &$1) }
        check(&race, []) { $0.failed(0, now: later, &$1) }
    }

    @Test("one that fails is followed at once, and after the last one there is none")
    func failing() {
        var race = Race(isIPv6: [false, false, false])
        _ = actions(&race) { $0.start(now: t0, &$1) }
        check(&race, [.dial(1)]) { $0.failed(0, now: t0, &$1) }
        _ = actions(&race) { $0.tick(now: t0 + .milliseconds(250), &$1) }
        #expect(race.nextDeadline == nil)
        check(&race, []) { $0.failed(2, now: t0, &$1) }
        check(&race, [.exhausted]) { $0.failed(1, now: t0, &$1) }
        // At once means so although another one is still under way.
        var third = Race(isIPv6: [false, false, false])
        check(&third, [.dial(0)]) { $0.start(now: t0, &$1) }
        check(&third, [.dial(1)]) { $0.tick(now: t0 + .milliseconds(250), &$1) }
        check(&third, [.dial(2)]) { $0.failed(1, now: t0 + .milliseconds(251), &$1) }
        var other = Race(isIPv6: [false, true])
        _ = actions(&other) { $0.start(now: t0, &$1) }
        check(&other, [.abandon(0)]) { $0.stop(&$1) }
        check(&other, []) { $0.tick(now: t0 + .seconds(1), &$1) }
    }
}
