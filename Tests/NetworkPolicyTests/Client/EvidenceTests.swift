import Pacing
import Testing

@testable import NetworkPolicy

/// What a probe that ended in this way or that says about its target, in both pacings.
@Suite struct EvidenceTests {
    private let t0 = Instant(nanoseconds: 3_600_000_000_000)

    enum Pacing: CaseIterable { case bounded, classic }

    private func machine(
        _ pacing: Pacing, timeout: Duration = .milliseconds(1500),
        expectation: PolicyExpectation = .allow
    ) -> any ProbePacing {
        switch pacing {
        case .bounded:
            var configuration = BoundedMachine.Configuration()
            configuration.usesGate = false
            configuration.timeout = timeout
            configuration.expectation = expectation
            return BoundedMachine(policies: [0], configuration: configuration)
        case .classic:
            var configuration = ClassicMachine.Configuration()
            configuration.usesGate = false
            configuration.timeout = timeout
            return ClassicMachine(policies: [0], configuration: configuration)
        }
    }

    /// The next probe, and when it was launched, moving time to the machine's own deadlines.
    private func nextFlight(_ machine: inout any ProbePacing, _ now: inout Instant) -> Int? {
        var actions: [ProbeAction] = []
        for _ in 0..<1000 {
            guard let next = machine.nextDeadline else { return nil }
            now = max(now, next)
            machine.tick(now: now, &actions)
            for case .launch(let flight, _, _) in actions { return flight }
        }
        return nil
    }

    private func start(_ machine: inout any ProbePacing) throws -> Int {
        var actions: [ProbeAction] = []
        machine.start(now: t0, &actions)
        guard case .launch(let flight, _, _)? = actions.first else {
            throw TestFailure("nothing was launched")
        }
        return flight
    }

    struct TestFailure: Error {
        init(_: String) {}
    }

    @Test(
        "a connection was let through, whatever came of it: it is no lower bound",
        arguments: Pacing.allCases, [ProbeFailure.timedOut, .reset, .status, .malformed])
    func established(pacing: Pacing, reason: ProbeFailure) throws {
        var m = machine(pacing)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        m.connected(first, retransmitted: false, now: t0 + .milliseconds(1))
        var now = t0 + .milliseconds(50)
        m.failed(first, reason, now: now, &actions)
        #expect(actions.contains(.failed(target: 0, reason: reason, count: 1)))
        let second =
            actions.lazy.compactMap {
                if case .launch(let flight, _, _) = $0 { flight } else { nil }
            }
            .first ?? nextFlight(&m, &now)
        let flight = try #require(second)
        m.connected(flight, retransmitted: false, now: now + .milliseconds(1))
        m.answered(flight, status: 200, now: now + .milliseconds(2), &actions)
        let result = try #require(m.ledger[0])
        #expect(result.notBefore == nil, "let through, and yet taken for a closed target")
        #expect(result.connectedAt == t0 + .milliseconds(1))
        #expect(result.moment == now + .milliseconds(2))
    }

    @Test(
        "without a connection it is one, and so is a SYN that had to be sent again",
        arguments: Pacing.allCases, [true, false])
    func turnedAway(pacing: Pacing, retransmitted: Bool) throws {
        var m = machine(pacing)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        if retransmitted {
            m.connected(first, retransmitted: true, now: t0 + .milliseconds(1001))
        }
        var now = t0 + .milliseconds(1100)
        m.failed(first, .reset, now: now, &actions)
        let second =
            actions.lazy.compactMap {
                if case .launch(let flight, _, _) = $0 { flight } else { nil }
            }
            .first ?? nextFlight(&m, &now)
        let flight = try #require(second)
        m.connected(flight, retransmitted: false, now: now + .milliseconds(1))
        m.answered(flight, status: 200, now: now + .milliseconds(2), &actions)
        let result = try #require(m.ledger[0])
        #expect(result.notBefore == t0)
        #expect(
            result.connectedAt
                == (retransmitted ? t0 + .milliseconds(1001) : now + .milliseconds(1)))
    }

    @Test("once a probe was let through, a younger one that was not was lost on the way")
    func passed() throws {
        var m = machine(.bounded)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        m.connected(first, retransmitted: false, now: t0 + .milliseconds(1))
        var now = t0
        let second = try #require(nextFlight(&m, &now))
        m.failed(second, .unreachable, now: now + .milliseconds(1), &actions)
        m.answered(first, status: 200, now: now + .milliseconds(2), &actions)
        #expect(m.ledger[0]?.notBefore == nil)
    }

    @Test("a SYN that was sent again was let through by the time that its connection stood")
    func resent() throws {
        var m = machine(.bounded)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        let stood = t0 + .milliseconds(1050)
        m.connected(first, retransmitted: true, now: stood)
        // Launched after that, and lost on the way.
        var now = stood + .milliseconds(1)
        let second = try #require(nextFlight(&m, &now))
        m.failed(second, .unreachable, now: now + .milliseconds(1), &actions)
        m.answered(first, status: 200, now: now + .milliseconds(2), &actions)
        let result = try #require(m.ledger[0])
        #expect(result.connectedAt == stood && result.notBefore == t0)
    }

    @Test("deny: the news of a probe that was let through came with its connection")
    func lateAnswer() throws {
        var m = machine(.bounded, expectation: .deny)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        m.connected(first, retransmitted: false, now: t0 + .milliseconds(1))
        m.answered(first, status: 200, now: t0 + .milliseconds(2), &actions)
        var now = t0 + .milliseconds(2)
        let slow = try #require(nextFlight(&m, &now))
        m.connected(slow, retransmitted: false, now: now + .milliseconds(1))
        var closed: Instant?
        for count in 1...3 {
            let flight = try #require(nextFlight(&m, &now))
            now += .milliseconds(1)
            closed = closed ?? now
            m.failed(flight, .refused, now: now, &actions)
            // It was let through before any of them started.
            if count == 2 { m.answered(slow, status: 200, now: now, &actions) }
        }
        #expect(actions.contains(.denied(target: 0)))
        #expect(m.ledger[0]?.moment == closed)
    }

    @Test("the timeout counts from the SYN, however long the name was looked up before")
    func lateLookUp() throws {
        var m = machine(.bounded)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        m.resolving(first)
        let sent = t0 + .milliseconds(1400)
        m.sent(first, now: sent)
        // One that started later has its timeout earlier.
        m.tick(now: t0 + .milliseconds(2899), &actions)
        #expect(!actions.contains(.cancel(flight: first)))
        m.tick(now: t0 + .milliseconds(2900), &actions)
        #expect(actions.contains(.cancel(flight: first)))
    }

    @Test("flights time out in the order of their clocks, not of their launches")
    func flightTable() {
        var table = FlightTable(targets: 3)
        let flights = (0..<3).map { target in
            table.open(target: target, patient: false, now: t0 + .milliseconds(target))
        }
        table.setResolving(flights[0])
        table.setSent(flights[0], isLate: false, now: t0 + .milliseconds(1000))
        #expect(table.oldest == flights[1])
        #expect(table.oldestImpatientStart == t0 + .milliseconds(1))
        let latest = t0 + .milliseconds(900)
        #expect(table.replaceable(for: 0, launchedBy: latest) == flights[1])
        // In time: its clock is its start.
        table.setSent(flights[1], isLate: false, now: t0 + .milliseconds(2))
        #expect(table[flights[1]]?.clock == t0 + .milliseconds(1))
        table.setConnected(flights[1], retransmitted: false, now: t0 + .milliseconds(3))
        #expect(table.oldest == flights[1])
        #expect(table.replaceable(for: 1, launchedBy: latest) == flights[2])
        for expected in [1, 2, 0] {
            #expect(table.oldest == flights[expected])
            table.close(flights[expected])
        }
        #expect(table.oldest == nil && table.count == 0)
    }

    @Test("deny: an established connection is a target that is open, answered or not")
    func deny() throws {
        var m = machine(.bounded, expectation: .deny)
        var actions: [ProbeAction] = []
        let first = try start(&m)
        m.connected(first, retransmitted: false, now: t0 + .milliseconds(1))
        m.answered(first, status: 200, now: t0 + .milliseconds(2), &actions)
        var now = t0 + .milliseconds(2)
        // Two are turned away, then one is let through that never has an answer.
        for _ in 0..<2 {
            let flight = try #require(nextFlight(&m, &now))
            m.failed(flight, .refused, now: now, &actions)
        }
        let mute = try #require(nextFlight(&m, &now))
        let open = now
        m.connected(mute, retransmitted: false, now: now + .milliseconds(1))
        m.failed(mute, .timedOut, now: now + .milliseconds(50), &actions)
        for _ in 0..<3 {
            #expect(m.ledger[0] == nil)
            let flight = try #require(nextFlight(&m, &now))
            m.failed(flight, .refused, now: now, &actions)
        }
        let result = try #require(m.ledger[0])
        #expect(result.notBefore == open)
        #expect(result.moment > open)
    }

    @Test(
        "a name that does not resolve is of a kind of its own: no evidence, nobody's failure",
        arguments: Pacing.allCases)
    func unresolved(pacing: Pacing) throws {
        var m = machine(pacing)
        var actions: [ProbeAction] = []
        var flight = try start(&m)
        var now = t0
        for number in 1...9 {
            m.resolving(flight)
            // Some have an answer of the resolver, some never.
            if number % 2 == 0 { m.failed(flight, .unresolved, now: now, &actions) }
            var launched: Int?
            while launched == nil, let next = m.nextDeadline {
                for case .launch(let flight, _, _) in actions { launched = flight }
                actions.removeAll { if case .launch = $0 { true } else { false } }
                if launched == nil {
                    now = max(now, next)
                    m.tick(now: now, &actions)
                }
            }
            flight = try #require(launched)
        }
        #expect(!actions.contains(.movedToFailedQueue(target: 0)))
        let failures = m.ledger.failures
        #expect(failures[Int(ProbeFailure.unresolved.rawValue)] >= 4)
        #expect(failures.reduce(0, +) == failures[Int(ProbeFailure.unresolved.rawValue)])
        m.connected(flight, retransmitted: false, now: now + .milliseconds(1))
        m.answered(flight, status: 200, now: now + .milliseconds(2), &actions)
        #expect(m.ledger[0] != nil && m.ledger[0]?.notBefore == nil)
    }

    @Test(
        "news of a connection that comes late because of us leaves the answer its whole timeout",
        arguments: Pacing.allCases)
    func stopped(pacing: Pacing) throws {
        var m = machine(pacing, timeout: .milliseconds(100))
        var actions: [ProbeAction] = []
        let flight = try start(&m)
        // Stopped from right after the launch on, for three timeouts.
        let awake = t0 + .milliseconds(300)
        m.sent(flight, now: t0)
        m.connected(flight, retransmitted: false, now: awake)
        m.sent(flight, now: awake)
        m.tick(now: awake, &actions)
        m.tick(now: awake + .milliseconds(99), &actions)
        #expect(m.ledger.failures.reduce(0, +) == 0, "our own sleep was held against the target")
        m.answered(flight, status: 200, now: awake + .milliseconds(99), &actions)
        #expect(m.ledger[0]?.moment == awake + .milliseconds(99))
        #expect(m.ledger[0]?.connectedAt == awake)
    }

    @Test(
        "a SYN that leaves late has its whole timeout: we slept, or looked a name up",
        arguments: Pacing.allCases, [true, false])
    func launchedLate(pacing: Pacing, isNamed: Bool) throws {
        var m = machine(pacing, timeout: .milliseconds(100))
        var actions: [ProbeAction] = []
        let flight = try start(&m)
        if isNamed { m.resolving(flight) }
        let sent = t0 + .milliseconds(90)
        m.sent(flight, now: sent)
        m.tick(now: sent + .milliseconds(99), &actions)
        #expect(m.ledger.failures.reduce(0, +) == 0)
        m.tick(now: sent + .milliseconds(100), &actions)
        #expect(m.ledger.failures[Int(ProbeFailure.timedOut.rawValue)] == 1)
    }

    @Test(
        "a connection that is learnt in time does not get more", arguments: Pacing.allCases)
    func punctual(pacing: Pacing) throws {
        var m = machine(pacing, timeout: .milliseconds(100))
        var actions: [ProbeAction] = []
        let flight = try start(&m)
        m.sent(flight, now: t0 + .milliseconds(1))
        m.connected(flight, retransmitted: false, now: t0 + .milliseconds(90))
        m.sent(flight, now: t0 + .milliseconds(91))
        m.tick(now: t0 + .milliseconds(99), &actions)
        #expect(m.ledger.failures.reduce(0, +) == 0)
        m.tick(now: t0 + .milliseconds(100), &actions)
        #expect(m.ledger.failures[Int(ProbeFailure.timedOut.rawValue)] == 1)
    }

    @Test("a hiccup makes slots short for a while, not for ever")
    func hiccup() {
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        configuration.expectation = .deny
        configuration.maxInFlight = 20
        configuration.interval = .milliseconds(50)
        var m = BoundedMachine(policies: Array(0..<20), configuration: configuration)
        var network = SimulatedNetwork(changes: (0..<20).map { _ in t0 + .seconds(3600) })
        network.expectation = .deny
        #expect(m.ledger.longestRoundTrip == nil)
        network.delay = .milliseconds(80) ... .milliseconds(90)
        network.run(&m, until: t0 + .seconds(2))
        network.delay = .milliseconds(1) ... .milliseconds(1)
        network.resume(&m, until: t0 + .seconds(8))
        #expect((m.ledger.longestRoundTrip ?? .zero) >= .milliseconds(250))
        let stretched = m.effectiveInterval
        network.resume(&m, until: t0 + .seconds(40))
        #expect((m.ledger.longestRoundTrip ?? .zero) <= .milliseconds(10))
        #expect(m.effectiveInterval < stretched)
    }

    @Test("silence does not make the longest round trip shorter; only answers do")
    func roundTrips() {
        var window = RoundTripWindow()
        window.observe(.milliseconds(400), now: t0)
        #expect(window.longest == .milliseconds(400))
        for second in 1...40 {
            window.observe(.milliseconds(1), now: t0 + .seconds(1000 * second))
            if second < 16 { #expect(window.longest == .milliseconds(400)) }
        }
        #expect(window.longest == .milliseconds(1))
    }

    @Test("the load counts SYNs that nobody answered, over several runs")
    func load() throws {
        var configuration = BoundedMachine.Configuration()
        configuration.usesGate = false
        var m = BoundedMachine(policies: [0, 1, 2, 3, 4], configuration: configuration)
        var actions: [ProbeAction] = []
        m.start(now: t0, &actions)
        m.tick(now: t0 + .milliseconds(99), &actions)
        let flights = actions.compactMap { action -> Int? in
            if case .launch(let flight, _, _) = action { flight } else { nil }
        }
        try #require(flights.count == 5)
        let now = t0 + .milliseconds(100)
        #expect(m.ledger.load.entries(at: now) == 5)
        m.connected(flights[0], retransmitted: false, now: now)
        m.failed(flights[0], .reset, now: now, &actions)
        m.failed(flights[1], .refused, now: now, &actions)
        m.failed(flights[2], .local, now: now, &actions)
        m.failed(flights[3], .timedOut, now: now, &actions)
        #expect(m.ledger.load.entries(at: now) == 2)
        configuration.load = m.ledger.load
        var next = BoundedMachine(policies: [0], configuration: configuration)
        next.start(now: now, &actions)
        #expect(next.ledger.load.entries(at: now) == 3)
    }

    @Test("past 65,536 entries one warning names the flag that lowers them")
    func warning() {
        for (usesGate, targets, flag) in [
            (false, 1000, "--max-rate"), (true, 1000, "--idle-interval"), (true, 70, "--idle-rate"),
        ] {
            var configuration = BoundedMachine.Configuration()
            configuration.usesGate = usesGate
            for _ in 0..<65_530 { configuration.load.started(now: t0) }
            var m = BoundedMachine(policies: Array(0..<targets), configuration: configuration)
            var actions: [ProbeAction] = []
            m.start(now: t0, &actions)
            m.tick(now: t0 + .milliseconds(400), &actions)
            let warnings = actions.compactMap { action -> String? in
                if case .loadIsHigh(let warning) = action { warning } else { nil }
            }
            #expect(warnings.count == 1)
            #expect(warnings.first?.contains("\(flag) lowers it") == true)
        }
    }
}
