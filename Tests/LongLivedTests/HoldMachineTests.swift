import Pacing
import Testing

@testable import LongLived

@Suite struct HoldMachineTests {
    typealias Action = HoldMachine.Action
    private let t0 = Instant(nanoseconds: 1_000_000_000)

    private func machine(
        _ change: (inout HoldMachine.Configuration) -> Void = { _ in }
    ) -> HoldMachine {
        var configuration = HoldMachine.Configuration()
        configuration.think = .seconds(1) ... .seconds(1)
        configuration.backoff = Backoff(
            initial: .milliseconds(100), maximum: .seconds(1), jitter: 0)
        change(&configuration)
        return HoldMachine(configuration: configuration)
    }

    private func started(
        _ change: (inout HoldMachine.Configuration) -> Void = { _ in }
    ) -> (HoldMachine, [Action]) {
        var machine = machine(change)
        var actions: [Action] = []
        machine.start(now: t0, &actions)
        return (machine, actions)
    }

    private func did(_ body: (inout [Action]) -> Void) -> [Action] {
        var actions: [Action] = []
        body(&actions)
        return actions
    }

    @Test("one connection: dial, send, think to the tick, send again on the same connection")
    func oneConnection() {
        var (machine, actions) = started()
        #expect(actions == [.dial(0, source: nil)] && machine.nextDeadline == nil)
        #expect(did { machine.opened(0, now: t0 + .milliseconds(1), &$0) } == [.send(0)])
        #expect(machine.inFlight == 1 && machine.allOpenAt == t0 + .milliseconds(1))
        let t1 = t0 + .milliseconds(501)
        actions = did {
            let latency = machine.answered(0, keepsAlive: true, now: t1, &$0)
            #expect(latency == .milliseconds(500))
        }
        #expect(actions == [] && machine.nextDeadline == t1 + .seconds(1))
        let due = t1 + .seconds(1)
        #expect(did { machine.tick(now: due - .nanoseconds(1), &$0) } == [])
        #expect(did { machine.tick(now: due, &$0) } == [.send(0)])
        #expect(machine.sent == 2 && machine.answered == 1 && machine.reconnects == 0)
    }

    @Test("an answer that ends its connection: close, think, dial anew, which is a reconnect")
    func close() {
        var (machine, _) = started()
        _ = did { machine.opened(0, now: t0, &$0) }
        #expect(did { _ = machine.answered(0, keepsAlive: false, now: t0, &$0) } == [.close(0)])
        #expect(machine.open == 0)
        let due = t0 + .seconds(1)
        #expect(did { machine.tick(now: due, &$0) } == [.dial(0, source: nil)])
        #expect(did { machine.opened(0, now: due, &$0) } == [.send(0)])
        #expect(machine.reconnects == 1 && machine.opened == 2)
    }

    @Test("no pause at all sends within the answer")
    func noPause() {
        var (machine, _) = started { $0.think = .zero ... .zero }
        _ = did { machine.opened(0, now: t0, &$0) }
        #expect(did { _ = machine.answered(0, keepsAlive: true, now: t0, &$0) } == [.send(0)])
        #expect(
            did { _ = machine.answered(0, keepsAlive: false, now: t0, &$0) }
                == [.close(0), .dial(0, source: nil)])
    }

    @Test("a failed dial waits, longer each time, and forgets that with an answer")
    func backoff() {
        var (machine, _) = started()
        var now = t0
        for wait in [100, 200, 400, 800, 1000, 1000] {
            #expect(did { machine.dialFailed(0, .refused, now: now, &$0) } == [])
            #expect(machine.nextDeadline == now + .milliseconds(wait))
            now += .milliseconds(wait)
            #expect(did { machine.tick(now: now, &$0) } == [.dial(0, source: nil)])
        }
        _ = did { machine.opened(0, now: now, &$0) }
        _ = did { _ = machine.answered(0, keepsAlive: true, now: now, &$0) }
        _ = did { machine.tick(now: now + .seconds(1), &$0) }
        _ = did { _ = machine.lost(0, hasBegun: false, now: now + .seconds(1), &$0) }
        #expect(machine.nextDeadline == now + .seconds(1) + .milliseconds(100))
        #expect(machine.lost == 1 && machine.inFlight == 0 && machine.open == 0)
    }

    @Test("a connection that goes while it thinks loses no request: the next one is dialed for")
    func idleClose() {
        var (machine, _) = started()
        _ = did { machine.opened(0, now: t0, &$0) }
        _ = did { _ = machine.answered(0, keepsAlive: true, now: t0, &$0) }
        var loss = HoldMachine.Loss.request
        #expect(did { loss = machine.lost(0, hasBegun: false, now: t0, &$0) } == [])
        #expect(loss == .nothing)
        #expect(machine.lost == 0 && machine.closedIdle == 1 && machine.open == 0)
        #expect(
            did { machine.tick(now: t0 + .seconds(1), &$0) } == [.dial(0, source: nil)])
    }

    @Test("an answer that takes too long is broken off, one tick before it is not")
    func timeout() {
        var (machine, _) = started { $0.timeout = .seconds(5) }
        _ = did { machine.opened(0, now: t0, &$0) }
        let due = t0 + .seconds(5)
        #expect(machine.nextDeadline == due)
        #expect(did { machine.tick(now: due - .nanoseconds(1), &$0) } == [])
        #expect(did { machine.tick(now: due, &$0) } == [.timedOut(0)])
        #expect(machine.lost == 1 && machine.open == 0 && machine.inFlight == 0)
        // Late news of what was broken off.
        #expect(did { _ = machine.answered(0, keepsAlive: true, now: due, &$0) } == [])
        var loss = HoldMachine.Loss.request
        #expect(did { loss = machine.lost(0, hasBegun: false, now: due, &$0) } == [])
        #expect(loss == .nothing)
        #expect(machine.sent == 1 && machine.answered == 0 && machine.lost == 1)
    }

    @Test("the deadline of an answer that came does not cut its connection's pause short")
    func pauseBehindTimeout() {
        var (machine, _) = started {
            $0.timeout = .seconds(2)
            $0.think = .seconds(10) ... .seconds(10)
        }
        _ = did { machine.opened(0, now: t0, &$0) }
        _ = did { _ = machine.answered(0, keepsAlive: true, now: t0 + .seconds(1), &$0) }
        #expect(machine.nextDeadline == t0 + .seconds(11))
        #expect(did { machine.tick(now: t0 + .seconds(2), &$0) } == [])
        // Nor does that of a request that was lost cut the wait before the next dial short.
        _ = did { machine.tick(now: t0 + .seconds(11), &$0) }
        _ = did { _ = machine.lost(0, hasBegun: false, now: t0 + .seconds(11), &$0) }
        _ = did { machine.tick(now: t0 + .milliseconds(11_100), &$0) }
        _ = did { machine.opened(0, now: t0 + .milliseconds(12_900), &$0) }
        #expect(machine.nextDeadline == t0 + .milliseconds(14_900))
    }

    @Test("the total comes to its end: failed dials and lost requests cost one each")
    func total() {
        var (machine, actions) = started {
            $0.connections = 3
            $0.requests = 3
            $0.dialing = 2
        }
        #expect(actions == [.dial(0, source: nil), .dial(1, source: nil)])
        #expect(
            did { machine.dialFailed(0, .refused, now: t0, &$0) } == [.dial(2, source: nil)])
        _ = did { machine.opened(1, now: t0, &$0) }
        #expect(did { _ = machine.answered(1, keepsAlive: true, now: t0, &$0) } == [])
        #expect(did { machine.tick(now: t0 + .milliseconds(100), &$0) } == [])
        _ = did { machine.opened(2, now: t0, &$0) }
        _ = did {
            #expect(machine.lost(2, hasBegun: false, now: t0, &$0) == .request)
        }
        #expect(!machine.isFinished)
        #expect(did { machine.tick(now: t0 + .milliseconds(200), &$0) } == [.finished])
        #expect(machine.sent == 2 && machine.answered == 1 && machine.lost == 1)
        #expect(machine.unsent == 1 && machine.nextDeadline == nil)
    }

    @Test("local trouble, and the look for a family, cost no request; the tenth time in a row does")
    func localTrouble() {
        for (kind, attempts) in [
            (FailureKind.ports, 10), (.descriptors, 10), (.source, 10), (.refused, 1),
        ] {
            var (machine, _) = started { $0.requests = 1 }
            _ = did { machine.dialFailed(0, nil, now: t0, &$0) }
            var now = t0
            var failures = 0
            while let next = machine.nextDeadline, failures < 20 {
                now = next
                if did({ machine.tick(now: now, &$0) }) != [.dial(0, source: nil)] { break }
                failures += 1
                #expect(machine.unsent == 0 && !machine.isFinished)
                _ = did { machine.dialFailed(0, kind, now: now, &$0) }
            }
            // The look for the family was the first failure in the row.
            #expect(failures == max(1, attempts - 1), "\(kind)")
            #expect(machine.unsent == 1 && machine.isFinished && machine.sent == 0)
        }
    }

    @Test("what no source will ever have room for ends the run, and is counted as not sent")
    func noRoomForEver() {
        var (machine, actions) = started {
            $0.connections = 3
            $0.requests = 3
            $0.sources = 1
            $0.perSource = 2
        }
        #expect(actions == [.dial(0, source: 0), .dial(1, source: 0)])
        _ = did { machine.opened(0, now: t0, &$0) }
        _ = did { machine.opened(1, now: t0, &$0) }
        #expect(did { _ = machine.answered(0, keepsAlive: true, now: t0, &$0) } == [])
        actions = did { _ = machine.answered(1, keepsAlive: true, now: t0, &$0) }
        #expect(actions == [.finished] && machine.unsent == 1 && machine.sent == 2)
    }

    @Test("a connection that was used before and ends before the first byte is told apart")
    func reused() {
        var (machine, _) = started { $0.think = .zero ... .zero }
        _ = did { machine.opened(0, now: t0, &$0) }
        _ = did { _ = machine.answered(0, keepsAlive: true, now: t0, &$0) }
        var begun = machine
        _ = did {
            #expect(machine.lost(0, hasBegun: false, now: t0, &$0) == .requestOnReused)
            #expect(begun.lost(0, hasBegun: true, now: t0, &$0) == .request)
        }
        // The next connection is a new one again.
        let retry = t0 + .milliseconds(100)
        _ = did { machine.tick(now: retry, &$0) }
        _ = did { machine.opened(0, now: retry, &$0) }
        _ = did { #expect(machine.lost(0, hasBegun: false, now: retry, &$0) == .request) }
        #expect(machine.lost == 2)
    }

    @Test("the last answer finishes at once; its connection is not closed before the end")
    func lastAnswer() {
        var (machine, _) = started { $0.requests = 1 }
        _ = did { machine.opened(0, now: t0, &$0) }
        #expect(did { _ = machine.answered(0, keepsAlive: true, now: t0, &$0) } == [.finished])
        #expect(machine.isFinished && machine.open == 1)
    }

    @Test("the duration ends it: what is in flight is unanswered, and news after it is ignored")
    func duration() {
        var (machine, _) = started {
            $0.connections = 2
            $0.duration = .seconds(3)
        }
        _ = did { machine.opened(0, now: t0, &$0) }
        #expect(machine.nextDeadline == t0 + .seconds(3))
        #expect(did { machine.tick(now: t0 + .seconds(3), &$0) } == [.finished])
        #expect(machine.inFlight == 1 && machine.isInFlight(0) && !machine.isInFlight(1))
        let late = did {
            machine.opened(1, now: t0 + .seconds(3), &$0)
            _ = machine.answered(0, keepsAlive: true, now: t0 + .seconds(3), &$0)
            let loss = machine.lost(0, hasBegun: false, now: t0 + .seconds(3), &$0)
            #expect(loss == .nothing)
            machine.tick(now: t0 + .seconds(9), &$0)
            machine.stop(&$0)
        }
        #expect(late == [] && machine.answered == 0 && machine.nextDeadline == nil)
    }

    @Test("no more dials at once than allowed, in the order in which they were wanted")
    func window() {
        var (machine, actions) = started {
            $0.connections = 5
            $0.dialing = 2
        }
        #expect(actions == [.dial(0, source: nil), .dial(1, source: nil)])
        actions = did { machine.opened(1, now: t0, &$0) }
        #expect(actions == [.send(1), .dial(2, source: nil)])
        actions = did { machine.dialFailed(0, .refused, now: t0, &$0) }
        #expect(actions == [.dial(3, source: nil)])
        #expect(machine.dialing == 2)
    }

    @Test("the rate of opening holds over any second, and is used up when ticks come in time")
    func rate() {
        var (machine, actions) = started {
            $0.connections = 5000
            $0.openRate = 1000
            $0.dialing = 5000
        }
        var moments = [t0]
        #expect(actions.count == 1)
        var now = t0
        while moments.count < 5000, let next = machine.nextDeadline {
            #expect(next > now)
            now = next + .microseconds(300)  // a timer is late
            let dials = did { machine.tick(now: now, &$0) }
            moments += dials.map { _ in now }
        }
        #expect(moments.count == 5000)
        for (first, last) in zip(moments, moments.dropFirst(1011)) {
            #expect(last - first >= .milliseconds(990))
        }
        #expect(now - t0 <= .milliseconds(5100))
    }

    @Test("a loop that was held up does not open in a burst what it has missed")
    func heldUp() {
        var (machine, _) = started {
            $0.connections = 5000
            $0.openRate = 1000
            $0.dialing = 5000
        }
        let dials = did { machine.tick(now: t0 + .milliseconds(500), &$0) }
        #expect(dials.count == 11)  // ten milliseconds' worth, and the one that is due
    }

    @Test("sources are shared out evenly; with none left the dial waits for a close")
    func sources() {
        var (machine, actions) = started {
            $0.connections = 3
            $0.sources = 2
            $0.perSource = 1
        }
        #expect(actions == [.dial(0, source: 0), .dial(1, source: 1)])
        _ = did { machine.opened(0, now: t0, &$0) }
        actions = did { _ = machine.answered(0, keepsAlive: false, now: t0, &$0) }
        #expect(actions == [.close(0), .dial(2, source: 0)])
        // Source 1 has no ports; it may have some when the time of number 1 has come.
        #expect(did { machine.dialFailed(1, .ports, now: t0, &$0) } == [])
        #expect(
            did { machine.tick(now: t0 + .milliseconds(100), &$0) } == [.dial(1, source: 1)])
        #expect(did { machine.dialFailed(1, .ports, now: t0, &$0) } == [])
        _ = did { machine.opened(2, now: t0, &$0) }
        #expect(
            did { _ = machine.answered(2, keepsAlive: false, now: t0, &$0) } == [.close(2)])
        #expect(
            did { machine.tick(now: t0 + .milliseconds(300), &$0) } == [.dial(1, source: 0)])
    }

    @Test("events of connections that do not expect them change nothing")
    func unexpected() {
        var (machine, _) = started { $0.connections = 2 }
        let actions = did {
            _ = machine.answered(0, keepsAlive: true, now: t0, &$0)
            _ = machine.lost(0, hasBegun: false, now: t0, &$0)
            machine.opened(7, now: t0, &$0)
            machine.opened(-1, now: t0, &$0)
            machine.dialFailed(9, .ports, now: t0, &$0)
            machine.start(now: t0, &$0)
            machine.tick(now: t0, &$0)
        }
        #expect(actions == [] && machine.dialing == 2 && machine.sent == 0)
        var idle = self.machine()
        #expect(did { idle.tick(now: t0, &$0) } == [] && idle.nextDeadline == nil)
        #expect(did { idle.stop(&$0) } == [])
    }
}
