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
            // Nothing failed before: since when it has been so is not known.
            #expect(machine.notBefore == nil && machine.uncertainty(.proven) == nil)
            #expect(machine.probes == 1 && machine.missCount == 0 && machine.nextDeadline == nil)
        }
    }

    @Test("misses are told apart by kind")
    func kinds() {
        var machine = machine()
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        func launch(_ k: Int) { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        for k in 1...8 { launch(k) }
        #expect(
            actions(&machine) { $0.ended(0, isBroken: false, now: ms(401), &$1) } == [
                .missed(.closed)
            ])
        #expect(
            send("ping\n", &machine, 1, at: ms(401)) == [
                .cancel(flight: 1), .missed(.wrongReply),
            ])
        #expect(send("po", &machine, 2, at: ms(401)) == [])
        #expect(
            actions(&machine) { $0.ended(2, isBroken: false, now: ms(402), &$1) } == [
                .missed(.wrongReply)
            ])
        for (flight, kind) in [(3, MissKind.refused), (4, .unreachable), (5, .local)] {
            #expect(
                actions(&machine) { $0.failed(flight, kind, now: ms(403), &$1) } == [.missed(kind)])
        }
        // News of a probe that has ended is nobody's.
        #expect(actions(&machine) { $0.ended(0, isBroken: false, now: ms(404), &$1) } == [])
        #expect(send("pong\n", &machine, 0, at: ms(404)) == [])
        machine.connected(6, retransmitted: false, now: ms(405))
        _ = send("pong\n", &machine, 6, at: ms(405))
        // Probe 0 was closed; the youngest that found no way is probe 4.
        #expect(machine.notBefore == t0 && machine.uncertainty(.proven) == .milliseconds(405))
        #expect(machine.notBefore(.presumed) == ms(200))
        #expect(machine.uncertainty(.presumed) == .milliseconds(205))
        #expect(machine.misses == [1, 0, 2, 1, 0, 1, 1, 0] && machine.leaks == 5)
        #expect(machine.missCount == machine.probes - 1)
    }

    @Test("only a close by the target proves; refusals and silence bound nothing")
    func proof() {
        for kind in [MissKind.refused, .unreachable, .timedOut] {
            var machine = machine()
            _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
            _ = actions(&machine) { $0.tick(now: ms(50), &$1) }
            _ = actions(&machine) { $0.tick(now: ms(100), &$1) }
            _ = actions(&machine) { $0.failed(1, kind, now: ms(101), &$1) }
            #expect(machine.notBefore == nil, "\(kind)")
            #expect(machine.notBefore(.presumed) == ms(50), "\(kind)")
            _ = actions(&machine) { $0.ended(0, isBroken: false, now: ms(102), &$1) }
            #expect(machine.notBefore == t0 && machine.notBefore(.presumed) == ms(50), "\(kind)")
            // Where the proof is the younger one, presuming adds nothing.
            _ = actions(&machine) { $0.ended(2, isBroken: false, now: ms(103), &$1) }
            #expect(machine.notBefore == ms(100) && machine.notBefore(.presumed) == nil)
        }
    }

    @Test("an established connection without pong and without a close proves nothing")
    func establishedOnly() {
        var machine = machine()
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        machine.connected(0, retransmitted: false, now: ms(1))
        _ = send("HTTP/1.1 503", &machine, 0, at: ms(2))
        _ = actions(&machine) { $0.tick(now: ms(50), &$1) }
        machine.connected(1, retransmitted: false, now: ms(51))
        #expect(
            actions(&machine) { $0.ended(1, isBroken: true, now: ms(52), &$1) } == [
                .missed(.reset)
            ])
        #expect(machine.misses(.wrongReply) == 1 && machine.leaks == 2)
        #expect(machine.notBefore == nil && machine.notBefore(.presumed) == nil)
    }

    @Test("stopped for longer than a probe may take: the answer in the socket is the hit")
    func stopped() {
        // The stop begins right after the launch, in the middle, and just before the time is up.
        for begun in [1, 60, 99] {
            var machine = machine {
                $0.interval = .seconds(1)
                $0.probeTimeout = .milliseconds(100)
            }
            _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
            _ = actions(&machine) { $0.failed(7, .local, now: ms(begun), &$1) }
            // What waits in the kernel comes first, and of each connection one piece of news.
            let woken = ms(begun + 300)
            machine.connected(0, retransmitted: false, now: woken)
            let timer = woken + .microseconds(80)
            #expect(actions(&machine) { $0.tick(now: timer, &$1) } == [], "\(begun)")
            let found = send("pong\n", &machine, 0, at: woken + .microseconds(200))
            #expect(found == [.cancel(flight: 0), .answered, .settled], "\(begun)")
            #expect(machine.misses(.timedOut) == 0)
        }
    }

    @Test("stopped, and then not answered in the time that was left: a miss after all")
    func stoppedInVain() {
        var machine = machine {
            $0.interval = .seconds(1)
            $0.probeTimeout = .milliseconds(100)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        _ = actions(&machine) { $0.tick(now: ms(400), &$1) }
        #expect(machine.inFlight == 1)
        let due = machine.nextDeadline ?? t0
        #expect(due > ms(400) && due <= ms(520))
        #expect(actions(&machine) { $0.tick(now: due - .nanoseconds(1), &$1) } == [])
        #expect(
            actions(&machine) { $0.tick(now: due, &$1) } == [
                .cancel(flight: 0), .missed(.timedOut),
            ])
    }

    @Test("awake for a tenth of the time only, silence is given up all the same")
    func throttled() {
        // Slots come while it sleeps, so that something is always overdue when it wakes.
        var machine = machine { $0.interval = .milliseconds(20) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        var givenUp: Int?
        for period in 1...60 {
            for awake in [0, 9] {
                let now = ms(period * 100 + awake)
                let done = actions(&machine) { $0.tick(now: now, &$1) }
                if done.contains(.cancel(flight: 0)) { givenUp = givenUp ?? period }
            }
        }
        // The probe's second, another one for what was slept through, and one sleep.
        #expect(givenUp == 21, "a probe of 1 s, slept through for 0.09 s at a time")
    }

    @Test("one long stop is forgiven whole, however long", arguments: [5_000, 600_000])
    func longStop(milliseconds: Int) {
        var machine = machine {
            $0.interval = .seconds(3600)
            $0.testTimeout = .seconds(7200)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        let woken = ms(milliseconds)
        _ = actions(&machine) { $0.tick(now: woken, &$1) }
        #expect(machine.inFlight == 1)
        _ = actions(&machine) { $0.tick(now: woken + .milliseconds(999), &$1) }
        #expect(machine.inFlight == 1, "waited for with open eyes, for as long as a probe may take")
    }

    @Test("stopped over the end of the test: the answer in the socket still counts")
    func stoppedOverTheEnd() {
        var machine = machine {
            $0.interval = .milliseconds(100)
            $0.testTimeout = .milliseconds(250)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        _ = actions(&machine) { $0.tick(now: ms(100), &$1) }
        _ = actions(&machine) { $0.tick(now: ms(200), &$1) }
        machine.connected(2, retransmitted: false, now: ms(600))
        #expect(!actions(&machine) { $0.tick(now: ms(600), &$1) }.contains(.failed))
        #expect(send("pong\n", &machine, 2, at: ms(601)).contains(.answered))
        #expect(machine.phase != .failed)
    }

    @Test("probes broken off by the end of the test are nobody's misses")
    func endOfTest() {
        var machine = machine { $0.testTimeout = .milliseconds(120) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for time in [50, 100] { _ = actions(&machine) { $0.tick(now: ms(time), &$1) } }
        _ = actions(&machine) { $0.ended(0, isBroken: false, now: ms(101), &$1) }
        #expect(
            actions(&machine) { $0.tick(now: ms(120), &$1) } == [
                .cancel(flight: 1), .cancel(flight: 2), .failed, .settled,
            ])
        #expect(machine.missCount == 1 && machine.surplus == 2 && machine.probes == 1)
    }

    @Test("one long round trip is forgotten after so many short ones")
    func roundTrips() {
        var evidence = ProbeEvidence()
        evidence.roundTrip(.seconds(1))
        for _ in 1...200 { evidence.roundTrip(.milliseconds(1)) }
        #expect(evidence.longestRoundTrip == .milliseconds(1))
    }

    @Test("a probe that stood but was not answered is a miss, and no evidence")
    func silentConnection() {
        var machine = machine()
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        machine.connected(0, retransmitted: false, now: ms(1))
        for k in 1...20 { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        #expect(machine.misses(.timedOut) == 1 && machine.notBefore(.presumed) == nil)
        _ = actions(&machine) { $0.tick(now: ms(1050), &$1) }
        #expect(machine.misses(.timedOut) == 2 && machine.notBefore(.presumed) == ms(50))
    }

    @Test("silence that was not waited for longer than two round trips is no evidence")
    func impatience() {
        var machine = machine {
            $0.probeTimeout = .milliseconds(60)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for time in [50, 60] { _ = actions(&machine) { $0.tick(now: ms(time), &$1) } }
        #expect(machine.misses(.timedOut) == 1 && machine.notBefore(.presumed) == t0)
        machine.connected(1, retransmitted: false, now: ms(105))
        #expect(machine.notBefore(.presumed) == nil)
        #expect(machine.evidence.longestRoundTrip == .milliseconds(55))
    }

    @Test("a hit by a SYN that was sent again: its own start is evidence, younger probes fly on")
    func retransmitted() {
        var machine = machine { $0.probeTimeout = .seconds(2) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...20 { _ = actions(&machine) { $0.tick(now: ms(50 * k), &$1) } }
        machine.connected(0, retransmitted: true, now: ms(1003))
        #expect(send("pong\n", &machine, 0, at: ms(1004)) == [.cancel(flight: 0), .answered])
        #expect(machine.notBefore(.presumed) == t0 && machine.inFlight == 20)
        machine.connected(20, retransmitted: false, now: ms(1005))
        for k in 1...19 {
            machine.connected(k, retransmitted: true, now: ms(1003 + 50 * k))
            _ = send("pong\n", &machine, k, at: ms(1004 + 50 * k))
            #expect(machine.notBefore(.presumed) == ms(50 * k))
        }
        #expect(send("pong\n", &machine, 20, at: ms(1970)) == [.cancel(flight: 20), .settled])
        #expect(
            machine.notBefore(.presumed) == ms(950) && machine.notBefore == nil
                && machine.probes == 1 && machine.surplus == 20)
    }

    @Test("a pong that was overtaken is the hit if its connection stood earlier")
    func overtaken() {
        var machine = machine { $0.interval = .milliseconds(10) }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        for k in 1...3 { _ = actions(&machine) { $0.tick(now: ms(10 * k), &$1) } }
        for k in 0...2 { machine.connected(k, retransmitted: false, now: ms(32 + k)) }
        #expect(send("pong\n", &machine, 2, at: ms(40)).contains(.answered))
        #expect(machine.delay == .milliseconds(34) && machine.uncertainty(.proven) == nil)
        #expect(send("pong\n", &machine, 1, at: ms(41)) == [.cancel(flight: 1)])
        #expect(machine.delay == .milliseconds(33))
        #expect(
            actions(&machine) { $0.ended(0, isBroken: false, now: ms(42), &$1) } == [
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
        #expect(
            machine.notBefore(.presumed) == t0 && machine.missCount == 2 && machine.surplus == 1)
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
                .cancel(flight: 0), .missed(.local), .launch(flight: 4, port: nil),
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

    @Test("a name is asked for before anything is sent; what it does not resolve to is local")
    func names() {
        var machine = machine {
            $0.isNamed = true
            $0.interval = .milliseconds(20)
        }
        #expect(actions(&machine) { $0.start(origin: t0, now: t0, &$1) } == [.resolve])
        // Slots pass meanwhile.
        #expect(actions(&machine) { $0.tick(now: ms(20), &$1) } == [] && machine.skipped == 1)
        #expect(
            actions(&machine) { $0.unresolved(now: ms(21), &$1) } == [.missed(.unresolved)])
        #expect(machine.nextDeadline == ms(121))
        #expect(actions(&machine) { $0.tick(now: ms(120), &$1) } == [])
        #expect(actions(&machine) { $0.tick(now: ms(121), &$1) } == [.resolve])
        #expect(
            actions(&machine) { $0.resolved(now: ms(123), &$1) } == [.launch(flight: 0, port: nil)])
        #expect(actions(&machine) { $0.resolved(now: ms(124), &$1) } == [])
        #expect(
            actions(&machine) { $0.tick(now: ms(140), &$1) } == [.launch(flight: 1, port: nil)])
        #expect(machine.misses(.unresolved) == 1 && machine.leaks == 0)
        // Nothing was sent before the name was known.
        #expect(machine.load.entries(at: ms(140)) == 2)
    }

    @Test("a name that is never known fails the test, and late news of it is nobody's")
    func namesInVain() {
        var machine = machine {
            $0.isNamed = true
            $0.testTimeout = .milliseconds(30)
        }
        _ = actions(&machine) { $0.start(origin: t0, now: t0, &$1) }
        #expect(actions(&machine) { $0.tick(now: ms(30), &$1) } == [.failed, .settled])
        #expect(actions(&machine) { $0.resolved(now: ms(31), &$1) } == [])
        #expect(machine.probes == 0 && machine.missCount == 0 && machine.nextDeadline == nil)
    }

    @Test("SYNs that nobody answers may hold entries; past 65,536 it warns once")
    func load() {
        var machine = machine {
            $0.interval = .milliseconds(1)
            $0.testTimeout = .seconds(100)
            $0.probeTimeout = .milliseconds(3)
        }
        var warnings: [(Int, String)] = []
        for k in 0...70_000 {
            let found = actions(&machine) {
                if k == 0 { $0.start(origin: t0, now: t0, &$1) } else { $0.tick(now: ms(k), &$1) }
            }
            for case .warned(let text) in found { warnings.append((k, text)) }
        }
        #expect(warnings.map(\.0) == [65_536] && warnings[0].1.contains("--interval"))
        // An answer of whatever kind takes its entry away.
        let before = machine.load.entries(at: ms(70_000))
        machine.connected(70_000, retransmitted: false, now: ms(70_000))
        _ = actions(&machine) { $0.failed(69_999, .refused, now: ms(70_000), &$1) }
        #expect(machine.load.entries(at: ms(70_000)) == before - 2)
    }
}
