import Pacing
import Testing

@testable import NetworkPolicy

@Suite struct BoundedMachineTests {
    private let t0 = Instant(nanoseconds: 3_600_000_000_000)

    private func machine(
        _ count: Int, _ change: (inout BoundedMachine.Configuration) -> Void = { _ in }
    ) -> BoundedMachine {
        var configuration = BoundedMachine.Configuration()
        change(&configuration)
        return BoundedMachine(policies: Array(0..<count), configuration: configuration)
    }

    @Test("first probes are spread evenly over one interval, each target once, in shuffled order")
    func spread() {
        var m = machine(100) { $0.usesGate = false }
        var launches: [(Instant, Int)] = []
        var actions: [ProbeAction] = []
        m.start(now: t0, &actions)
        var now = t0
        while true {
            for case .launch(_, let target, _) in actions { launches.append((now, target)) }
            actions = []
            guard launches.count < 100, let next = m.nextDeadline else { break }
            now = next
            m.tick(now: now, &actions)
        }
        #expect(Set(launches.map(\.1)).count == 100)
        #expect(launches.map(\.1) != Array(0..<100))
        for (index, launch) in launches.enumerated() {
            #expect(launch.0 == t0 + .milliseconds(index))
        }
    }

    @Test(
        "the gate idles no slower than it needs to: at the interval for few, at 200/s for more",
        arguments: [
            (1, 100), (10, 100), (20, 100), (40, 200), (60, 300), (80, 400), (1000, 400),
            (100_000, 400),
        ])
    func idlePace(targets: Int, milliseconds: Int) {
        #expect(
            BoundedMachine.Configuration().idlePace(targets: targets)
                == .milliseconds(milliseconds))
        let m = machine(targets) { $0.maxInFlight = 1_000_000 }
        var started = m
        var actions: [ProbeAction] = []
        started.start(now: t0, &actions)
        guard targets <= 1000 else { return }
        #expect(started.effectiveInterval == .milliseconds(milliseconds))
    }

    @Test("--idle-rate and --idle-interval set the idle pace, and --interval is its least")
    func idleFlags() {
        var configuration = BoundedMachine.Configuration()
        configuration.idleRate = 10
        #expect(configuration.idlePace(targets: 2) == .milliseconds(200))
        configuration.idleInterval = .seconds(2)
        #expect(configuration.idlePace(targets: 10) == .seconds(1))
        #expect(configuration.idlePace(targets: 1000) == .seconds(2))
        configuration.interval = .milliseconds(500)
        #expect(configuration.idlePace(targets: 1) == .milliseconds(500))
        configuration.idleInterval = .milliseconds(50)
        #expect(configuration.idlePace(targets: 1) == .milliseconds(50))
    }

    @Test("the gate idles at one probe an idle interval and opens at the first success")
    func gate() {
        let count = 50
        var network = SimulatedNetwork(
            changes: (0..<count).map { t0 + .seconds(10) + .milliseconds(100 * $0) })
        var m = machine(count) {
            $0.idleInterval = .seconds(1)
            $0.idleRate = 1
        }
        network.run(&m, until: t0 + .seconds(9))
        #expect(!m.isGateOpen)
        #expect(m.ledger.probes <= count * 10 && m.ledger.probes >= count * 9)
        #expect(m.ledger.failedTargets == count)
    }

    @Test("sentinels: only the first address of the first three policies idles")
    func sentinels() {
        let policies = [0, 0, 1, 1, 2, 2, 3, 3]
        var configuration = BoundedMachine.Configuration()
        configuration.sentinels = 3
        var m = BoundedMachine(policies: policies, configuration: configuration)
        var network = SimulatedNetwork(
            changes: policies.indices.map { _ in t0 + .milliseconds(4300) })
        network.run(&m, until: t0 + .seconds(60))
        #expect(m.ledger.pending == 0)
        #expect(
            policies.indices.filter { m.ledger[$0]?.notBefore != nil }.allSatisfy {
                [0, 2, 4].contains($0)
            })
        #expect(policies.indices.contains { m.ledger[$0]?.notBefore == nil })
    }

    @Test("three failures in a row count once as failed, and the target is probed on")
    func failedQueue() {
        var network = SimulatedNetwork(changes: [t0 + .seconds(5)])
        network.blocked = .reject
        var m = machine(1) { $0.usesGate = false }
        network.run(&m, until: t0 + .seconds(20))
        #expect(network.actionCounts == ["failedQueue": 1, "answered": 1])
        #expect(m.ledger.failedTargets == 1)
        #expect(m.ledger.failures[Int(ProbeFailure.refused.rawValue)] >= 48)
        #expect(m.ledger[0]?.attempts == m.ledger.probes)
    }

    @Test("a stop breaks every probe off and leaves the results")
    func stop() {
        var m = machine(10) { $0.usesGate = false }
        var actions: [ProbeAction] = []
        m.start(now: t0, &actions)
        m.tick(now: t0 + .milliseconds(100), &actions)
        let launched = actions.count
        actions = []
        m.stop(&actions)
        #expect(actions.count == launched && launched >= 10)
        #expect(m.nextDeadline == nil && m.inFlight == 0)
    }

    @Test("out of descriptors is nobody's failure: fewer slots for a while, then as before")
    func localFailure() {
        var m = machine(40) { $0.usesGate = false }
        var actions: [ProbeAction] = []
        m.start(now: t0, &actions)
        m.tick(now: t0 + .milliseconds(100), &actions)
        let flights = actions.compactMap { action -> Int? in
            if case .launch(let flight, _, _) = action { flight } else { nil }
        }
        actions = []
        for flight in flights.dropFirst(20) {
            m.failed(flight, .local, now: t0 + .milliseconds(101), &actions)
        }
        #expect(actions.isEmpty, "a local failure was held against a target")
        m.tick(now: t0 + .milliseconds(250), &actions)
        #expect(m.inFlight <= 39)
        for step in 3...40 { m.tick(now: t0 + .milliseconds(100 * step), &actions) }
        #expect(m.inFlight > 40)
        #expect((0..<40).allSatisfy { m.ledger[$0] == nil })
    }

    @Test("an empty list has finished when it starts")
    func empty() {
        var m = machine(0)
        var actions: [ProbeAction] = []
        m.start(now: t0, &actions)
        #expect(actions == [.finished])
        #expect(m.nextDeadline == nil)
    }

    @Test("news of a flight that has ended changes nothing")
    func lateNews() {
        var m = machine(2) { $0.usesGate = false }
        var actions: [ProbeAction] = []
        m.start(now: t0, &actions)
        guard case .launch(let flight, let target, _)? = actions.first else {
            Issue.record("nothing launched")
            return
        }
        actions = []
        m.answered(flight, status: 200, now: t0 + .milliseconds(3), &actions)
        m.answered(flight, status: 200, now: t0 + .milliseconds(4), &actions)
        m.failed(flight, .reset, now: t0 + .milliseconds(4), &actions)
        m.connected(flight, retransmitted: false, now: t0 + .milliseconds(5))
        m.failed(999, .reset, now: t0 + .milliseconds(5), &actions)
        #expect(actions == [.answered(target: target), .bounded(target: target)])
    }
}
