import Pacing
import Testing

@testable import NetworkPolicy

/// Whole policy runs on a virtual clock, against a network whose true moments are known.
@Suite struct SimulationTests {
    private let t0 = Instant(nanoseconds: 3_600_000_000_000)

    /// Optimized builds run the issue's full size, debug builds a tenth: the same checks.
    private var scale: Int { isOptimized ? 1 : 10 }

    private var isOptimized: Bool {
        var isDebug = false
        assert({ isDebug = true }() == ())
        return !isDebug
    }

    /// Every result must bracket the truth; the error stays within one interval and a round trip.
    private func check<Machine: ProbePacing>(
        _ machine: Machine, _ network: SimulatedNetwork, slack: Duration, _ note: String,
        allowUnsound: Int = 0
    ) {
        var unsound = 0
        var worst = Duration.zero
        for target in 0..<machine.ledger.count {
            guard let result = machine.ledger[target] else {
                Issue.record("\(note): target \(target) was not detected")
                continue
            }
            let truth = network.changes[target]
            let lower = result.notBefore ?? Instant(nanoseconds: 0)
            if !(lower <= truth && truth <= result.moment) { unsound += 1 }
            let from = max(truth, network.gateOpenedAt ?? truth)
            worst = max(worst, result.moment - from)
        }
        #expect(unsound <= allowUnsound, "\(note): \(unsound) bounds do not hold the truth")
        #expect(worst <= slack, "\(note): error \(worst)")
    }

    @Test(
        "targets that take connections and need 2 s to answer: the bounds hold the opening",
        arguments: [Duration.milliseconds(1500), .seconds(3)])
    func throttled(timeout: Duration) {
        let count = 40
        var random = SeededRandom(seed: 23)
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in
                t0 + random.duration(in: .seconds(1) ... .seconds(5))
            })
        network.warmUp = .seconds(2)
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.timeout = timeout
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(30))
        check(machine, network, slack: .milliseconds(2110), "throttled")
        for target in 0..<count {
            guard let result = machine.ledger[target] else { continue }
            let opening = network.changes[target]
            let connected = result.connectedAt ?? Instant(nanoseconds: 0)
            #expect(opening <= connected && connected <= opening + .milliseconds(110))
            #expect((result.notBefore ?? t0) >= opening - .milliseconds(110))
        }
    }

    @Test("a process that is stopped for 300 ms at a time books no timeout of 100 ms")
    func pauses() {
        let count = 50
        var random = SeededRandom(seed: 29)
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in
                t0 + random.duration(in: .seconds(1) ... .seconds(8))
            })
        network.blocked = .reject
        network.delay = .milliseconds(5) ... .milliseconds(6)
        network.pauses = (0..<20).map {
            let start = t0 + .milliseconds(137 + 503 * $0)
            return start...start + .milliseconds(300)
        }
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.timeout = .milliseconds(100)
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(30))
        check(machine, network, slack: .milliseconds(450), "pauses")
        #expect(machine.ledger.failures[Int(ProbeFailure.timedOut.rawValue)] == 0)
        #expect(machine.ledger.failures[Int(ProbeFailure.refused.rawValue)] > 100)
    }

    @Test("the demo at its defaults, 20 clients of 10 targets: p99 of the error within 110 ms")
    func demoDefaults() {
        var errors: [Duration] = []
        var random = SeededRandom(seed: 31)
        let openings = (0..<200).map {
            t0 + .milliseconds(600 + 20 * $0)
                + random.duration(in: .milliseconds(20) ... .milliseconds(200))
        }
        for client in 0..<20 {
            var network = SimulatedNetwork(
                changes: (0..<10).map { openings[$0 * 20 + client] })
            network.blocked = .reject
            network.delay = .microseconds(50) ... .microseconds(100)
            var configuration = BoundedMachine.Configuration()
            configuration.seed = UInt64(client)
            var machine = BoundedMachine(policies: Array(0..<10), configuration: configuration)
            network.run(&machine, until: t0 + .seconds(20))
            for target in 0..<10 {
                errors.append(
                    (machine.ledger[target]?.moment ?? network.now) - network.changes[target])
            }
        }
        errors.sort()
        #expect(errors[197] <= .milliseconds(110))
    }

    /// Late by more than an interval are only those that open before the gate does. It opens when
    /// one of those that are open is probed: the fewer probes, the more of them there are.
    @Test(
        "1,000 targets at the defaults: at most 1 % is late by more than 110 ms", arguments: 0..<12)
    func thousandDefaults(seed: Int) {
        var network = SimulatedNetwork(
            changes: (0..<1000).map { t0 + .milliseconds(1000 + 20 * $0) })
        network.delay = .microseconds(50) ... .microseconds(100)
        var configuration = BoundedMachine.Configuration()
        configuration.seed = UInt64(seed)
        var machine = BoundedMachine(policies: Array(0..<1000), configuration: configuration)
        // All that open in the first second have been found by then; later ones meet an open gate.
        network.run(&machine, until: t0 + .milliseconds(2150))
        let late = (0..<50).count {
            guard let result = machine.ledger[$0] else { return true }
            return result.moment - network.changes[$0] > .milliseconds(110)
        }
        #expect(late <= 10)
    }

    @Test("5,000 targets over ten minutes: all found, within an interval, bounds hold")
    func tenMinutes() {
        let count = 5000 / scale
        var random = SeededRandom(seed: 11)
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in
                t0 + random.duration(in: .seconds(5) ... .seconds(600))
            })
        network.delay = .microseconds(100) ... .milliseconds(2)
        network.lateness = .microseconds(500)
        var configuration = BoundedMachine.Configuration()
        configuration.maxRate = 10_000 / scale
        configuration.maxInFlight = 19_000 / scale
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(700))
        // The interval at its widest: 5,000 targets at 10,000 probes a second.
        check(machine, network, slack: .milliseconds(500 + 8 + 3), "ten minutes")
        #expect(network.largestGap.max() ?? .zero <= .milliseconds(1020))
        #expect(network.peakInFlight <= configuration.maxInFlight)
    }

    @Test(
        "bounds hold the truth whatever the delays, orders, verdicts and limits", arguments: 0..<60)
    func soundness(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed) &* 7919)
        let count = 60
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in
                t0 + random.duration(in: .milliseconds(10) ... .seconds(8))
            })
        network.random = SeededRandom(seed: UInt64(seed))
        network.blocked = seed % 2 == 0 ? .drop : .reject
        // Up to 60 ms each way, so that younger probes overtake older ones all the time.
        network.delay = .microseconds(50) ... .milliseconds([1, 5, 20, 60][seed % 4])
        network.lateness = .milliseconds(seed % 3)
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = seed % 5 == 0
        configuration.interval = .milliseconds([10, 30, 100, 250][(seed / 4) % 4])
        configuration.maxInFlight = seed % 7 == 0 ? 100 : 19_000
        configuration.seed = UInt64(seed)
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(30))
        check(machine, network, slack: .milliseconds(700), "seed \(seed)")
    }

    @Test("once evidence is in, the bounds are as narrow as an interval and a round trip")
    func narrow() {
        var random = SeededRandom(seed: 5)
        for blocked in [SimulatedNetwork.Verdict.drop, .reject] {
            var network = SimulatedNetwork(
                changes: (0..<200).map { _ in
                    t0 + random.duration(in: .seconds(3) ... .seconds(10))
                })
            network.blocked = blocked
            var configuration = BoundedMachine.Configuration()
            configuration.usesGate = false
            var machine = BoundedMachine(policies: Array(0..<200), configuration: configuration)
            network.run(&machine, until: t0 + .seconds(30))
            for target in 0..<200 {
                let width = machine.ledger[target]?.uncertainty ?? .seconds(99)
                // One interval, two round trips, and the timers' millisecond.
                #expect(width <= .milliseconds(100 + 4 + 4 + 1), "\(blocked) target \(target)")
            }
        }
    }

    @Test(
        "slots for less than one probe a target: nobody starves, everybody is found",
        arguments: [(2000, 400), (1000, 896)])
    func scarceSlots(count: Int, slots: Int) {
        var random = SeededRandom(seed: 3)
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in
                t0 + random.duration(in: .seconds(1) ... .seconds(20))
            })
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.maxInFlight = slots
        configuration.maxRate = 100_000
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        let interval = Duration.milliseconds(count * 328 / slots)
        network.run(&machine, until: t0 + .seconds(60))
        check(machine, network, slack: interval * 1.5, "scarce slots")
        #expect(network.peakInFlight <= slots)
        #expect(network.largestGap.max() ?? .zero <= interval * 1.5)
    }

    @Test("a target that cannot be had from here does not slow the others")
    func alwaysLocal() {
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.maxInFlight = 1000
        var machine = BoundedMachine(policies: Array(0..<200), configuration: configuration)
        var actions: [ProbeAction] = []
        var now = t0
        machine.start(now: now, &actions)
        while now < t0 + .seconds(10) {
            for case .launch(let flight, let target, _) in actions where target == 7 {
                var more: [ProbeAction] = []
                machine.failed(flight, .local, now: now, &more)
            }
            actions.removeAll()
            guard let next = machine.nextDeadline else { break }
            now = max(next, now)
            machine.tick(now: now, &actions)
        }
        #expect(machine.effectiveInterval == configuration.interval)
    }

    @Test("any rate limit, however low, starves no target", arguments: [1, 7, 50, 1000])
    func lowRates(rate: Int) {
        let count = 30
        var network = SimulatedNetwork(changes: (0..<count).map { _ in t0 + .seconds(3600) })
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.maxRate = rate
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(300))
        let fair = max(Duration.milliseconds(100), .seconds(30) / rate)
        for target in 0..<count {
            #expect(network.largestGap[target] > .zero)
            #expect(network.largestGap[target] <= fair + .milliseconds(7))
        }
    }

    @Test("a round trip longer than min-flight is found even when slots are short")
    func slowPath() {
        let count = 200
        var network = SimulatedNetwork(changes: (0..<count).map { _ in t0 + .seconds(2) })
        network.delay = .milliseconds(170) ... .milliseconds(180)
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.maxInFlight = 100
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(120))
        #expect(machine.ledger.pending == 0)
    }

    @Test("targets that take connections and never answer do not slow the others")
    func muteTargets() {
        let count = 200
        var network = SimulatedNetwork(
            changes: (0..<count).map { t0 + .milliseconds(20 * $0) })
        network.mute = Set(0..<100)
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(20))
        #expect(machine.ledger.pending == 100)
        for target in 100..<200 {
            #expect(
                (machine.ledger[target]?.moment ?? network.now) - network.changes[target]
                    <= .milliseconds(106))
        }
    }

    @Test("mute targets that hold most of the slots starve nobody")
    func muteTargetsWithScarceSlots() {
        let count = 100
        var network = SimulatedNetwork(changes: (0..<count).map { t0 + .milliseconds(10 * $0) })
        network.mute = Set(0..<90)
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.maxInFlight = 50
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(60))
        #expect(machine.ledger.pending == 90)
        #expect(network.largestGap.max() ?? .zero <= .seconds(4))
    }

    @Test("losing 2 % of SYNs costs bounds at about that rate, and never a detection")
    func loss() {
        var random = SeededRandom(seed: 17)
        var network = SimulatedNetwork(
            changes: (0..<1000).map { _ in
                t0 + random.duration(in: .seconds(1) ... .seconds(10))
            })
        network.loss = 0.02
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        var machine = BoundedMachine(policies: Array(0..<1000), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(30))
        check(machine, network, slack: .milliseconds(420), "loss", allowUnsound: 40)
    }

    @Test("deny: the closing is found, bracketed, and its kind told", arguments: 0..<20)
    func closing(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed) + 100)
        let count = 60
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in
                t0 + random.duration(in: .seconds(3) ... .seconds(8))
            })
        network.expectation = .deny
        network.blocked = seed % 2 == 0 ? .drop : .reject
        network.delay = .microseconds(100) ... .milliseconds([1, 10][(seed / 2) % 2])
        network.random = SeededRandom(seed: UInt64(seed))
        var configuration = BoundedMachine.Configuration()
        configuration.expectation = .deny
        configuration.usesGate = seed % 3 == 0
        var machine = BoundedMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(60))
        check(machine, network, slack: .milliseconds(1200), "deny seed \(seed)")
        let kind: ProbeFailure = seed % 2 == 0 ? .timedOut : .refused
        #expect((0..<count).allSatisfy { machine.ledger[$0]?.reason == kind })
        #expect(network.actionCounts["denied"] == count)
        #expect(network.actionCounts["answered"] == count)
    }
}
