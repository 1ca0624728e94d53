import Pacing
import Telemetry

/// Probes every pending target at a bounded interval; none waits behind another.
///
///     gate      event                        gate     what follows
///     closed    turn of a target (idle pace) closed   launch
///     closed    first 200 (deny: an          open     openedGate; all pending targets come due
///               answering one fails, or is            evenly over one interval
///               silent for 50 ms)
///     open      turn of a target (100 ms)    open     launch
///     any       200                          any      answered; the target leaves the ring, its
///                                                     other flights stay as witnesses
///     any       connection                   any      – (let through: no sign of a closed target,
///                                                     but no success yet either)
///     any       failure, timeout             any      failed; third in a row: movedToFailedQueue
///     any       witnesses have spoken        any      cancel what is left, bounded; finished after
///                                                     the last
///
/// A turn comes due one effective interval after the target's last one:
///
///     effective interval = max(pace, pending / maxRate, pending × mean flight / maxInFlight)
///     pace               = interval; idle: min(max(interval, pending / idleRate), idleInterval)
///
/// So few targets are probed at full pace from the start, which costs the network next to nothing,
/// and many no more seldom than once an idle interval, since the targets that open before the gate
/// does are found late by as much.
///
/// A firewall that drops SYNs leaves probes hanging until their timeout. When slots run short, the
/// oldest probe of the same target (else of all) that is older than `minFlight` makes room. That
/// alone would never find a target whose round trip is longer than `minFlight`, so every sixteenth
/// probe of a target is patient: it keeps its slot until its timeout.
struct BoundedMachine: ProbePacing, Sendable {
    struct Configuration: Sendable {
        var interval = Duration.milliseconds(100)
        /// While the gate is closed, the longest time between two probes of one target.
        var idleInterval = Duration.milliseconds(400)
        /// While the gate is closed, probes per second, if the idle interval allows it.
        var idleRate = 200
        /// Whether to idle until the first sign of a policy.
        var usesGate = true
        /// While the gate is closed, probe only the first address of each of the first so many
        /// distinct policies; 0 for all targets.
        var sentinels = 0
        /// Probes per second, at most.
        var maxRate = 10_000
        var maxInFlight = 10_000
        /// How long a probe keeps its slot even when slots run short.
        var minFlight = Duration.milliseconds(250)
        /// The longest a whole probe may take, from its SYN on.
        var timeout = Duration.milliseconds(1500)
        /// Failures in a row until a target counts as failed (deny: as closed).
        var attempts = 3
        var expectation = PolicyExpectation.allow
        /// Of the order of first probes.
        var seed: UInt64 = 1
        /// What the runs before have asked of the network.
        var load = ProbeLoad()

        init() {}

        /// The time between two probes of one target while the gate is closed.
        func idlePace(targets: Int) -> Duration {
            let byRate = 1_000_000_000 &* Int64(targets) / Int64(max(idleRate, 1))
            return min(max(interval, .nanoseconds(byRate)), idleInterval)
        }

        /// The flag that makes the probes fewer, the quickest.
        func loadFlag(isGateOpen: Bool, targets: Int) -> String {
            if isGateOpen { return "--max-rate" }
            return idlePace(targets: targets) == idleInterval ? "--idle-interval" : "--idle-rate"
        }
    }

    private static let patientShare = 16
    /// Turns that come due within this time may be taken together: timers count in milliseconds.
    private static let burst = Duration.milliseconds(5)
    /// A witness older than this has nothing more to say: after one second the kernel sends the SYN
    /// again (RFC 6298 §2), and an answer to that one does not tell what became of the first.
    private static let witnessTime = Duration.milliseconds(900)
    /// Deny: how long a target that used to answer may be silent before the gate opens. Wrong on
    /// a slower path, where it only makes full pace begin early.
    private static let silence = Duration.milliseconds(50)

    private(set) var ledger: ProbeLedger
    private let configuration: Configuration
    private var flights: FlightTable
    private var ring: ProbeRing
    /// Targets that have their result, while older probes of them are still out.
    private var witnesses: DeadlineQueue<Int>
    /// Targets that are not in the ring yet, in the order of their first probes.
    private var gated: [Int]
    /// Deny, while the gate is closed: flights, by number and launch.
    private var silences = DeadlineQueue<Launch>(timeout: BoundedMachine.silence)
    /// The few that are probed while the gate is closed; empty for all.
    private var sentinels: [Int] = []
    private(set) var isGateOpen: Bool
    /// The earliest moment of the next launch that the rate allows.
    private var rateGate = Instant(nanoseconds: 0)
    /// Fewer slots than configured for a while after this machine ran out of something.
    private var slots: Int
    private var slotsRecover = Instant(nanoseconds: .max)
    /// Targets whose last probe met local trouble.
    private var lastWasLocal: Set<Int> = []
    private var hasFinished = false

    private struct Launch: Sendable {
        var flight: Int
        var at: Instant
    }

    /// - Parameter policies: for each target, a number that stands for its policy.
    init(policies: [Int], configuration: Configuration) {
        self.configuration = configuration
        ledger = ProbeLedger(
            targets: policies.count, expectation: configuration.expectation,
            attempts: configuration.attempts, load: configuration.load)
        flights = FlightTable(targets: policies.count)
        ring = ProbeRing(capacity: policies.count)
        witnesses = DeadlineQueue(
            timeout: min(BoundedMachine.witnessTime, configuration.timeout))
        isGateOpen = !configuration.usesGate
        slots = max(configuration.maxInFlight, 1)
        var random = SeededRandom(seed: configuration.seed)
        gated = Array(policies.indices).shuffled(using: &random)
        if !isGateOpen, configuration.sentinels > 0 {
            sentinels = Sentinels.first(configuration.sentinels, policies: policies)
        }
    }

    var inFlight: Int { flights.count }

    var effectiveInterval: Duration {
        let base =
            isGateOpen ? configuration.interval : configuration.idlePace(targets: ring.count)
        let turns = Double(ring.count)
        let byRate = turns / Double(max(configuration.maxRate, 1)) * 1e9
        let patience = 1 / Double(BoundedMachine.patientShare)
        let meanFlight =
            Double(replaceAge.nanoseconds) * (1 - patience)
            + Double(configuration.timeout.nanoseconds) * patience
        let bySlots = turns * meanFlight / Double(slots)
        return max(base, .nanoseconds(Int64(min(max(byRate, bySlots), 9e18))))
    }

    var nextDeadline: Instant? {
        var next = witnesses.nextDeadline
        func consider(_ moment: Instant?) {
            guard let moment else { return }
            next = next.map { min($0, moment) } ?? moment
        }
        consider(silences.nextDeadline)
        consider(flights.oldest.flatMap { flights[$0] }.map { $0.clock + configuration.timeout })
        if let target = ring.first {
            var launch = max(ring.lastTurn(of: target) + effectiveInterval, rateGate)
            if flights.count >= slots, let oldest = flights.oldestImpatientStart {
                launch = max(launch, oldest + replaceAge)
            }
            if flights.count < slots || flights.oldestImpatientStart != nil { consider(launch) }
        }
        return next
    }

    mutating func start(now: Instant, _ actions: inout [ProbeAction]) {
        if sentinels.isEmpty {
            fillRing(now: now)
        } else {
            for target in sentinels { ring.append(target, lastTurn: now) }
        }
        ring.spread(over: effectiveInterval, now: now)
        rateGate = now
        finishIfDone(&actions)
        tick(now: now, &actions)
    }

    mutating func resolving(_ number: Int) {
        if flights[number] != nil { flights.setResolving(number) }
    }

    mutating func sent(_ number: Int, now: Instant) {
        guard let flight = flights[number] else { return }
        // How late a SYN is, its flight's own start tells.
        flights.setSent(number, isLate: flight.isConnected && isLate(now), now: now)
    }

    mutating func connected(_ number: Int, retransmitted: Bool, now: Instant) {
        guard flights[number] != nil else { return }
        flights.setConnected(number, retransmitted: retransmitted, now: now)
        if let flight = flights[number] { ledger.connected(flight, now: now) }
    }

    mutating func answered(
        _ number: Int, status: Int, now: Instant, _ actions: inout [ProbeAction]
    ) {
        guard let flight = flights[number] else { return }
        guard status == 200 else {
            failed(number, .status, now: now, &actions)
            return
        }
        let target = Int(flight.target)
        let wasSettled = ledger.isSettled(target)
        flights.close(number)
        ledger.answered(flight, now: now, &actions)
        if !wasSettled, ledger.isSettled(target) { settle(target, now: now, &actions) }
        if configuration.expectation == .allow { openGate(now: now, &actions) }
    }

    mutating func failed(
        _ number: Int, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction]
    ) {
        guard let flight = flights[number] else { return }
        let target = Int(flight.target)
        let wasSettled = ledger.isSettled(target)
        flights.close(number)
        if reason == .local {
            // Again and again, it is that target that cannot be had from here, not slots.
            if lastWasLocal.insert(target).inserted {
                slots = max(min(slots, flights.count), 16)
                slotsRecover = now + .seconds(1)
            }
        } else if !lastWasLocal.isEmpty {
            lastWasLocal.remove(target)
        }
        ledger.failed(flight, reason, now: now, &actions)
        if !wasSettled, ledger.isSettled(target) { settle(target, now: now, &actions) }
        if ledger.isSuspect(target) { openGate(now: now, &actions) }
    }

    mutating func tick(now: Instant, _ actions: inout [ProbeAction]) {
        if now >= slotsRecover {
            slots = max(configuration.maxInFlight, 1)
            slotsRecover = Instant(nanoseconds: .max)
        }
        while let number = flights.oldest, let flight = flights[number],
            flight.clock + configuration.timeout <= now
        {
            actions.append(.cancel(flight: number))
            failed(number, .timedOut, now: now, &actions)
        }
        while let target = witnesses.popExpired(now: now) {
            dismissWitnesses(of: target, startedBy: now, now: now, &actions)
            actions.append(.bounded(target: target))
            finishIfDone(&actions)
        }
        while let launch = silences.popExpired(now: now) {
            guard let flight = flights[launch.flight], flight.start == launch.at,
                !flight.isConnected, ledger.isAnswering(Int(flight.target))
            else { continue }
            openGate(now: now, &actions)
        }
        launchDue(now: now, &actions)
    }

    mutating func stop(_ actions: inout [ProbeAction]) {
        while let number = flights.oldest {
            flights.close(number)
            actions.append(.cancel(flight: number))
        }
        while let target = ring.first { ring.remove(target) }
        witnesses = DeadlineQueue(timeout: witnesses.timeout)
        silences = DeadlineQueue(timeout: silences.timeout)
        hasFinished = true
    }

    // MARK: - Launching

    /// How old a probe must be before a fresh one may take its slot: never so young that it could
    /// be a slow answer, as far as the answers seen so far tell.
    private var replaceAge: Duration {
        guard let trip = ledger.longestRoundTrip else {
            return min(configuration.minFlight, configuration.timeout)
        }
        let twice = trip + trip
        return min(max(configuration.minFlight, twice + twice), configuration.timeout)
    }

    private mutating func launchDue(now: Instant, _ actions: inout [ProbeAction]) {
        let interval = effectiveInterval
        let flag = configuration.loadFlag(isGateOpen: isGateOpen, targets: ring.count)
        let spacing = Duration.nanoseconds(1_000_000_000 / Int64(max(configuration.maxRate, 1)))
        while let target = ring.first {
            let due = ring.lastTurn(of: target) + interval
            guard due <= now, rateGate <= now else { return }
            if flights.count >= slots {
                guard
                    let victim = flights.replaceable(for: target, launchedBy: now - replaceAge)
                else { return }
                actions.append(.cancel(flight: victim))
                failed(victim, .unanswered, now: now, &actions)
                // In deny mode the failure may have decided this very target.
                guard ring.first == target else { continue }
            }
            // Counted from when the turn was due, so that the timer's granularity does not add up;
            // from now when the turn is badly late, so that a stall is not followed by a storm.
            ring.rotate(turn: now - due <= BoundedMachine.burst ? due : now)
            rateGate = max(rateGate, now - BoundedMachine.burst) + spacing
            ledger.launched(target, lowerLoad: flag, now: now, &actions)
            // Each target's in another round: all in the same one would hold all slots together.
            let attempt = ledger.attempts(of: target)
            let patient = (target &+ attempt) % BoundedMachine.patientShare == 0
            let number = flights.open(target: target, patient: patient, now: now)
            actions.append(.launch(flight: number, target: target, attempt: attempt))
            if !isGateOpen, configuration.expectation == .deny {
                _ = silences.start(Launch(flight: number, at: now), now: now)
            }
        }
    }

    private mutating func openGate(now: Instant, _ actions: inout [ProbeAction]) {
        guard !isGateOpen else { return }
        isGateOpen = true
        silences = DeadlineQueue(timeout: silences.timeout)
        fillRing(now: now)
        ring.spread(over: effectiveInterval, now: now)
        actions.append(.openedGate)
    }

    private mutating func fillRing(now: Instant) {
        for target in gated where !ledger.isSettled(target) { ring.append(target, lastTurn: now) }
        gated = []
    }

    // MARK: - Settling

    private mutating func settle(
        _ target: Int, now: Instant, _ actions: inout [ProbeAction]
    ) {
        ring.remove(target)
        if configuration.expectation == .allow {
            dismissWitnesses(of: target, startedBy: now - witnesses.timeout, now: now, &actions)
            if flights.oldest(of: target) != nil {
                _ = witnesses.start(target, now: now)
                return
            }
        } else {
            while let number = flights.oldest(of: target) {
                flights.close(number)
                actions.append(.cancel(flight: number))
            }
        }
        actions.append(.bounded(target: target))
        finishIfDone(&actions)
    }

    /// Books the flights of a settled target as unanswered and breaks them off. One that stands but
    /// has no answer yet was let through: it is no witness, and did not fail.
    private mutating func dismissWitnesses(
        of target: Int, startedBy latest: Instant, now: Instant, _ actions: inout [ProbeAction]
    ) {
        while let number = flights.oldest(of: target), let flight = flights[number],
            flight.start <= latest
        {
            flights.close(number)
            actions.append(.cancel(flight: number))
            // One whose SYN left late, behind a look-up, has not had its time.
            let hadItsTime = flight.clock + witnesses.timeout <= now
            if !flight.isConnected, hadItsTime {
                ledger.failed(flight, .unanswered, now: now, &actions)
            }
        }
    }

    private mutating func finishIfDone(_ actions: inout [ProbeAction]) {
        guard !hasFinished, ledger.pending == 0, witnesses.isEmpty else { return }
        hasFinished = true
        actions.append(.finished)
    }
}

/// The targets that are probed while the gate is closed, when not all of them are.
enum Sentinels {
    /// The first target of each of the first `count` distinct policies.
    static func first(_ count: Int, policies: [Int]) -> [Int] {
        var seen: Set<Int> = []
        var first: [Int] = []
        for (target, policy) in policies.enumerated() where first.count < count {
            if seen.insert(policy).inserted { first.append(target) }
        }
        return first
    }
}
