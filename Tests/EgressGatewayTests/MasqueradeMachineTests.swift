import Pacing
import Testing

@testable import EgressGateway

@Suite struct MasqueradeMachineTests {
    private let t0 = Instant(nanoseconds: 5_000_000_000)
    private typealias Action = MasqueradeMachine.Action

    private func machine(
        _ change: (inout MasqueradeMachine.Configuration) -> Void = { _ in }
    ) -> MasqueradeMachine {
        var configuration = MasqueradeMachine.Configuration()
        change(&configuration)
        return MasqueradeMachine(configuration: configuration)
    }

    private func ms(_ milliseconds: Int) -> Instant { t0 + .milliseconds(milliseconds) }

    private func send(
        _ text: String, _ machine: inout MasqueradeMachine, _ flight: Int, at: Instant
    )
        -> [MasqueradeMachine.Action]
    {
        var actions: [Action] = []
        Array(text.utf8).withUnsafeBytes { machine.received(flight, $0, now: at, &actions) }
        return actions
    }

    private func actions(
        _ machine: inout MasqueradeMachine,
        _ body: (inout MasqueradeMachine, inout [MasqueradeMachine.Action]) -> Void
    ) -> [MasqueradeMachine.Action] {
        var found: [Action] = []
        body(&machine, &found)
        return found
    }

    @Test("probe k starts at origin + k × interval, however long the earlier ones take")
    func schedule() {
        var machine = machine()
        let origin = t0 - .milliseconds(20)
        #expect(
            actions(&machine) { $0.start(origin: origin, now: t0, &$1) } == [
                .launch(flight: 0, port: nil)
            ])
        for k in 1...10 {
            let due = origin + .milliseconds(50 * k)
            #expect(machine.nextDeadline == due)
            let early = due - .nanoseconds(1)
            #expect(actions(&machine) { $0.tick(now: early, &$1) } == [])
            // A late timer does not shift the ones that follow.
            let late = due + .milliseconds(3)
            #expect(
                actions(&machine) { $0.tick(now: late, &$1) } == [
                    .launch(flight: k, port: nil)
                ])
        }
        #expect(machine.inFlight == 11 && machine.skipped == 0)
        // Busy for over two slots: one probe, and back into step.
        #expect(
            actions(&machine) { $0.tick(now: origin + .milliseconds(660), &$1) } == [
                .launch(flight: 11, port: nil)
            ])
        #expect(machine.skipped == 2 && machine.nextDeadline == origin + .milliseconds(700))
    }

    @Test("a pong in any pieces is the hit; its moment is when the connection stood")
    func pong() {
        for cut in 1...4 {
            var machine = machine()
            _ = actions(&machine) { $0.start(origin: t0 - .milliseconds(7), now: t0, &$1) }
            machine.connected(0, retransmitted: false, now: ms(2))
            let text = "pong\n"
            #expect(send(String(text.prefix(cut)), &machine, 0, at: ms(3)) == [])
            #expect(
                send(String(text.dropFirst(cut)), &machine, 0, at: ms(4)) == [
                    .cancel(flight: 0), .answered, .settled,
                ])
            #expect(machine.delay == .milliseconds(9))
            // Nothing failed before: it may have been so from the start.
            #expect(machine.notBefore == nil && machine.uncertainty == .milliseconds(9))
            #expect(machine.probes == 1 && machine.missCount == 0 && machine.nextDeadline == nil)
        }
    }

    @Test("misses are told apart by kind")
    func kinds() {
        var machine = machine()
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        func launch(_ k: Int) { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        for k in 1...8 { launch(k) }
        #expect(actions(&machine) { $0.ended(0, now: ms(401), &$1) } == [.missed(.closed)])
        #expect(
            send("ping\n", &machine, 1, at: ms(401)) == [
                .cancel(flight: 1), .missed(.wrongReply),
            ])
        #expect(send("po", &machine, 2, at: ms(401)) == [])
        #expect(actions(&machine) { $0.ended(2, now: ms(402), &$1) } == [.missed(.wrongReply)])
        for (flight, kind) in [(3, MissKind.refused), (4, .unreachable), (5, .local)] {
            #expect(
                actions(&machine) { $0.failed(flight, kind, now: ms(403), &$1) } == [.missed(kind)])
        }
        // News of a probe that has ended is nobody's.
        #expect(actions(&machine) { $0.ended(0, now: ms(404), &$1) } == [])
        #expect(send("pong\n", &machine, 0, at: ms(404)) == [])
        machine.connected(6, retransmitted: false, now: ms(405))
        _ = send("pong\n", &machine, 6, at: ms(405))
        // The youngest miss but the local one: probe 4.
        #expect(machine.notBefore == ms(200) && machine.uncertainty == .milliseconds(205))
        #expect(machine.misses == [1, 2, 1, 0, 1, 1])
        #expect(machine.missCount == machine.probes - 1)
    }

    @Test("a probe that stood but was not answered is a miss, and no evidence")
    func silentConnection() {
        var machine = machine()
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        machine.connected(0, retransmitted: false, now: ms(1))
        for k in 1...20 { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        #expect(machine.misses(.timedOut) == 1 && machine.notBefore == nil)
        _ = actions(&machine) { $0.tick(now: ms(1050), &$1) }
        #expect(machine.misses(.timedOut) == 2 && machine.notBefore == ms(50))
    }

    @Test("silence that was not waited for longer than two round trips is no evidence")
    func impatience() {
        var machine = machine {
            $0.probeTimeout = .milliseconds(60)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...2 { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        #expect(machine.misses(.timedOut) == 1 && machine.notBefore == t0)
        machine.connected(1, retransmitted: false, now: ms(105))
        #expect(machine.notBefore == nil)
        #expect(machine.evidence.longestRoundTrip == .milliseconds(55))
    }

    @Test("a hit by a SYN that was sent again: its own start is evidence, younger probes fly on")
    func retransmitted() {
        var machine = machine { $0.probeTimeout = .seconds(2) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...20 { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        machine.connected(0, retransmitted: true, now: ms(1003))
        #expect(send("pong\n", &machine, 0, at: ms(1004)) == [.cancel(flight: 0), .answered])
        #expect(machine.notBefore == t0 && machine.inFlight == 20)
        machine.connected(20, retransmitted: false, now: ms(1005))
        for k in 1...19 {
            machine.connected(k, retransmitted: true, now: ms(1003 + 50 * k))
            _ = send("pong\n", &machine, k, at: ms(1004 + 50 * k))
            #expect(machine.notBefore == ms(50 * k))
        }
        #expect(send("pong\n", &machine, 20, at: ms(1970)) == [.cancel(flight: 20), .settled])
        #expect(machine.notBefore == ms(950) && machine.probes == 1 && machine.surplus == 20)
    }

    @Test("a pong that was overtaken is the hit if its connection stood earlier")
    func overtaken() {
        var machine = machine { $0.interval = .milliseconds(10) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...3 { _ = actions(&machine) { $0.tick(now: ms(10 * k), &$1) } }
        for k in 0...2 { machine.connected(k, retransmitted: false, now: ms(32 + k)) }
        #expect(send("pong\n", &machine, 2, at: ms(40)).contains(.answered))
        #expect(machine.delay == .milliseconds(34) && machine.uncertainty == .milliseconds(34))
        #expect(send("pong\n", &machine, 1, at: ms(41)) == [.cancel(flight: 1)])
        #expect(machine.delay == .milliseconds(33))
        #expect(
            actions(&machine) { $0.ended(0, now: ms(42), &$1) } == [
                .missed(.closed), .settled,
            ])
        #expect(machine.delay == .milliseconds(33) && machine.notBefore == t0)
        #expect(machine.missCount == machine.probes - 1 && machine.surplus == 2)
    }

    @Test("a miss of a probe younger than the hit is not believed")
    func contradiction() {
        var machine = machine { $0.interval = .milliseconds(10) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...3 { _ = actions(&machine) { $0.tick(now: ms(10 * k), &$1) } }
        _ = actions(&machine) { $0.failed(0, .refused, now: ms(30), &$1) }
        _ = actions(&machine) { $0.failed(2, .refused, now: ms(31), &$1) }
        machine.connected(1, retransmitted: false, now: ms(35))
        #expect(
            send("pong\n", &machine, 1, at: ms(36)) == [
                .cancel(flight: 1), .answered, .cancel(flight: 3), .settled,
            ])
        #expect(machine.notBefore == t0 && machine.missCount == 2 && machine.surplus == 1)
    }

    @Test("without a slot the oldest probe makes room if it had its time, else the miss is local")
    func slots() {
        var machine = machine {
            $0.maxInFlight = 4
            $0.interval = .milliseconds(100)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...3 { _ = actions(&machine) { $0.tick(now: ms(100 * k), &$1) } }
        #expect(
            actions(&machine) { $0.tick(now: ms(400), &$1) } == [
                .cancel(flight: 0), .missed(.timedOut), .launch(flight: 4, port: nil),
            ])
        var quick = self.machine {
            $0.maxInFlight = 2
            $0.interval = .milliseconds(10)
        }
        _ = actions(&quick) { $0.start(origin: t0, now: t0, &$1) }
        _ = actions(&quick) { $0.tick(now: ms(10), &$1) }
        #expect(actions(&quick) { $0.tick(now: ms(20), &$1) } == [.missed(.local)])
        #expect(quick.misses(.local) == 1 && quick.probes == 3 && quick.phase == .probing)
    }

    @Test("a port that somebody holds is passed over, and a whole busy range is a local miss")
    func ports() {
        var machine = machine { $0.ports = 50000...50009 }
        var seen: [UInt16] = []
        func note(_ found: [Action]) {
            for case .launch(_, let port?) in found { seen.append(port) }
        }
        note(actions(&machine) { $0.start(origin: t0, now: t0, &$1) })
        for _ in 1...16 { note(actions(&machine) { $0.portTaken(0, now: t0, &$1) }) }
        #expect(seen.count == 17 && Set(seen).count == 10)
        #expect(seen.allSatisfy { (50000...50009).contains($0) })
        #expect(actions(&machine) { $0.portTaken(0, now: t0, &$1) } == [.missed(.local)])
    }

    @Test("after stop nothing is under way and nothing is due")
    func stop() {
        var machine = machine()
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        _ = actions(&machine) { $0.tick(now: ms(50), &$1) }
        #expect(actions(&machine) { $0.stop(&$1) } == [.cancel(flight: 0), .cancel(flight: 1)])
        #expect(machine.nextDeadline == nil && machine.inFlight == 0)
        #expect(actions(&machine) { $0.tick(now: ms(100), &$1) } == [])
        #expect(machine.hit == nil && machine.missCount == 0 && machine.probes == 0)
    }
}
