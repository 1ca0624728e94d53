import Pacing

/// Probes a target at fixed moments until one probe gets `pong`: the first moment at which traffic
/// is known to be masqueraded.
///
///     phase      event                          phase      actions
///     idle       start                          probing    launch
///     probing    start + k × interval           probing    launch, or a local miss without a slot
///     probing    closed, refused, …             probing    missed
///     probing    probe timeout                  probing    cancel, missed
///     probing    pong                           settling   answered; cancel what can say no more
///     probing    test timeout                   failed     cancel, missed for all; failed, settled
///     settling   miss, timeout, late pong       settling   missed
///     settling   no probe left                  done       settled
///     any        stop                           –          cancel for all
///
/// Probes overlap: an older one that is not answered yet holds nobody up. A slot that passes while
/// the program is busy is skipped, not made up for: two probes at once tell no more than one.
///
/// The claim behind the result is that masquerading began in [notBefore, moment]; ``ProbeEvidence``
/// says why. After the first `pong` the older probes fly on, because what becomes of them narrows
/// these bounds; until then they hold, but are wider than they will be.
struct MasqueradeMachine: Sendable {
    struct Configuration: Sendable {
        /// Between two probes.
        var interval = Duration.milliseconds(50)
        /// The longest a probe may take.
        var probeTimeout = Duration.seconds(1)
        /// From the origin: without a `pong` by then the test has failed.
        var testTimeout = Duration.seconds(60)
        /// Probes under way at most.
        var maxInFlight = 10_000
        /// How long a probe keeps its slot when slots run short.
        var minFlight = Duration.milliseconds(250)
        /// Local ports to walk through, so that no probe meets what a firewall or gateway remembers
        /// of an earlier one; nil leaves the choice to the kernel.
        var ports: ClosedRange<UInt16>?
        /// Of the first port.
        var seed: UInt64 = 1
    }

    enum Action: Equatable, Sendable {
        /// Connect from this local port and report what happens.
        case launch(flight: Int, port: UInt16?)
        /// Break the probe off; nothing more is reported of it.
        case cancel(flight: Int)
        /// One more miss; ``misses`` has the counts.
        case missed(MissKind)
        /// The first `pong`: ``hit`` has the moment.
        case answered
        /// The test timeout has passed without a `pong`.
        case failed
        /// No probe is under way any more, and none will be: the bounds are final.
        case settled
    }

    enum Phase: Sendable { case idle, probing, settling, done, failed }

    /// The probe that got `pong` and whose connection stood first.
    struct Hit: Equatable, Sendable {
        let start: Instant
        /// When its connection stood: traffic was masqueraded by then.
        let connected: Instant
        /// Whether the kernel had to send its SYN more than once.
        let retransmitted: Bool
        fileprivate let flight: Int
    }

    /// What a target answers to a source that is allowed.
    static let pong = Array("pong\n".utf8)
    /// How long a gateway may remember a connection that was never established (Linux: 120 s).
    private static let memory = Duration.seconds(150)
    /// Local ports tried for one probe when others hold them.
    private static let portTries: UInt8 = 16

    private let configuration: Configuration
    private(set) var phase = Phase.idle
    /// The start of the test; slots and the delay count from here.
    private(set) var origin = Instant(nanoseconds: 0)
    private(set) var hit: Hit?
    private(set) var evidence = ProbeEvidence()
    /// Counts in the order of ``MissKind``.
    private(set) var misses = [Int](repeating: 0, count: MissKind.allCases.count)
    /// Probes launched, or tried to.
    private(set) var started = 0
    /// Probes without a verdict of their own: broken off by, or answered after, the first `pong`.
    private(set) var surplus = 0
    /// Slots that passed while the program was busy.
    private(set) var skipped = 0

    private var flights = ProbeWindow()
    private var nextSlot = Instant(nanoseconds: .max)
    private var portsUsed = 0
    private var firstPort = 0

    init(configuration: Configuration) {
        self.configuration = configuration
        var random = SeededRandom(seed: configuration.seed)
        firstPort = Int(truncatingIfNeeded: random.next() >> 33)
    }

    var inFlight: Int { flights.flying }
    var missCount: Int { misses.reduce(0, +) }
    /// Probes that have, or will have, a verdict.
    var probes: Int { started - surplus }

    func misses(_ kind: MissKind) -> Int { misses[Int(kind.rawValue)] }

    /// From the origin to the moment at which masquerading is known to work.
    var delay: Duration? { hit.map { $0.connected - origin } }

    /// The latest moment at which traffic is known not to have been masqueraded; nil without any
    /// miss that says so.
    var notBefore: Instant? {
        var evidence = evidence
        flights.forEachEnded { if isBelieved($0, $1) { evidence.add($1) } }
        return evidence.lowerBound
    }

    /// How wide the bounds are; without a lower one they reach back to the origin.
    var uncertainty: Duration? { hit.map { $0.connected - (notBefore ?? origin) } }

    /// The moment at which ``tick(now:_:)`` wants to be called; nil while nothing is pending.
    var nextDeadline: Instant? {
        let expiry = flights.oldestStart.map { $0 + configuration.probeTimeout }
        guard phase == .probing else { return expiry }
        return min(nextSlot, testEnd, expiry ?? nextSlot)
    }

    private var testEnd: Instant { origin + configuration.testTimeout }

    // MARK: - Events

    /// - Parameter origin: the start of the test, not after `now`: slots and the delay count from
    ///   it, and what lies before `now` is past.
    mutating func start(origin: Instant, now: Instant, _ actions: inout [Action]) {
        guard phase == .idle else { return }
        phase = .probing
        self.origin = min(origin, now)
        nextSlot = now
        tick(now: now, &actions)
    }

    /// The connection stands.
    /// - Parameter retransmitted: the kernel had to send the SYN more than once.
    mutating func connected(_ flight: Int, retransmitted: Bool, now: Instant) {
        flights.update(flight) {
            $0.connected = now
            $0.retransmitted = retransmitted
        }
        if let start = flights[flight]?.start, !retransmitted { evidence.roundTrip(now - start) }
    }

    /// Bytes have come.
    mutating func received(
        _ flight: Int, _ bytes: UnsafeRawBufferPointer, now: Instant, _ actions: inout [Action]
    ) {
        guard let state = flights[flight] else { return }
        let expected = MasqueradeMachine.pong.dropFirst(Int(state.matched))
        let count = min(bytes.count, expected.count)
        guard bytes.prefix(count).elementsEqual(expected.prefix(count)) else {
            actions.append(.cancel(flight: flight))
            miss(flight, .wrongReply, now: now, &actions)
            return
        }
        if count == expected.count {
            answered(flight, state, now: now, &actions)
        } else {
            flights.update(flight) { $0.matched += UInt8(count) }
        }
    }

    /// The target has closed or broken off the connection.
    mutating func ended(_ flight: Int, now: Instant, _ actions: inout [Action]) {
        guard let state = flights[flight] else { return }
        miss(flight, state.matched == 0 ? .closed : .wrongReply, now: now, &actions)
    }

    /// The connection did not come about.
    mutating func failed(
        _ flight: Int, _ kind: MissKind, now: Instant, _ actions: inout [Action]
    ) {
        guard flights[flight] != nil else { return }
        miss(flight, kind, now: now, &actions)
    }

    /// Somebody else holds the local port of the launch.
    mutating func portTaken(_ flight: Int, now: Instant, _ actions: inout [Action]) {
        guard let state = flights[flight] else { return }
        guard phase == .probing, configuration.ports != nil,
            state.portTries < MasqueradeMachine.portTries
        else {
            miss(flight, .local, now: now, &actions)
            return
        }
        // The start stays: earlier than the SYN, it can only make the bounds wider.
        let (port, isFresh) = nextPort()
        flights.update(flight) {
            $0.portTries += 1
            $0.isFresh = isFresh
        }
        actions.append(.launch(flight: flight, port: port))
    }

    mutating func tick(now: Instant, _ actions: inout [Action]) {
        while let flight = flights.oldest, let start = flights.oldestStart,
            now >= start + configuration.probeTimeout
        {
            giveUp(flight, now: now, &actions)
        }
        guard phase == .probing else { return }
        if now >= testEnd {
            fail(now: now, &actions)
        } else if now >= nextSlot {
            advanceSlot(now: now)
            launch(now: now, &actions)
        }
    }

    /// Breaks everything off; counts and bounds stay.
    mutating func stop(_ actions: inout [Action]) {
        while let flight = flights.oldest {
            actions.append(.cancel(flight: flight))
            surplus += 1
            end(flight, as: .nothing)
        }
        if phase == .settling { phase = .done }
        if phase == .probing { phase = .failed }
        nextSlot = Instant(nanoseconds: .max)
    }

    // MARK: - Launching

    /// The next slot is the first one after now.
    private mutating func advanceSlot(now: Instant) {
        let interval = UInt64(max(configuration.interval.nanoseconds, 1))
        let behind = UInt64(max((now - nextSlot).nanoseconds, 0))
        let passed = UInt64(max((now - origin).nanoseconds, 0)) / interval
        if started > 0 { skipped += Int(clamping: behind / interval) }
        let (offset, overflow) = (passed + 1).multipliedReportingOverflow(by: interval)
        nextSlot =
            overflow ? .init(nanoseconds: .max) : origin + .nanoseconds(Int64(clamping: offset))
    }

    private mutating func launch(now: Instant, _ actions: inout [Action]) {
        started += 1
        if flights.flying >= max(configuration.maxInFlight, 1) {
            guard let oldest = flights.oldest, let start = flights.oldestStart,
                now - start >= configuration.minFlight
            else {
                misses[Int(MissKind.local.rawValue)] += 1
                actions.append(.missed(.local))
                return
            }
            giveUp(oldest, now: now, &actions)
        }
        let (port, isFresh) = nextPort()
        let flight = flights.open(at: now, isFresh: isFresh)
        actions.append(.launch(flight: flight, port: port))
    }

    /// One port after the other. A probe from a port that was used not long ago may be treated as
    /// its predecessor was (connection tracking): its miss then says nothing about now.
    private mutating func nextPort() -> (port: UInt16?, isFresh: Bool) {
        guard let ports = configuration.ports else { return (nil, true) }
        let port = ports.lowerBound + UInt16((firstPort + portsUsed) % ports.count)
        let isFirstRound = portsUsed < ports.count
        // Half of a round's time, as taken ports make it go faster.
        let isLongRound = configuration.interval * (ports.count / 2) >= MasqueradeMachine.memory
        portsUsed += 1
        return (port, isFirstRound || isLongRound)
    }

    // MARK: - Endings

    private mutating func answered(
        _ flight: Int, _ state: ProbeWindow.Flight, now: Instant, _ actions: inout [Action]
    ) {
        actions.append(.cancel(flight: flight))
        let isFirst = hit == nil
        let new = Hit(
            start: state.start, connected: state.connected ?? now,
            retransmitted: state.retransmitted, flight: flight)
        if let hit {
            surplus += 1
            // Answers may overtake each other: what counts is when the connection stood.
            if new.connected < hit.connected { self.hit = new }
        } else {
            hit = new
            phase = .settling
            actions.append(.answered)
        }
        end(flight, as: state.retransmitted && state.isFresh ? .silence : .nothing)
        if isFirst { dropYounger(&actions) }
        settleIfDone(&actions)
    }

    /// Probes that were started after the hit's SYN had passed cannot say when that began.
    private mutating func dropYounger(_ actions: inout [Action]) {
        for flight in flights.flyingNumbers {
            guard let state = flights[flight], !isBelieved(flight, state) else { continue }
            actions.append(.cancel(flight: flight))
            surplus += 1
            end(flight, as: .nothing)
        }
    }

    /// A probe that was started after the SYN of the hit had passed failed for another reason.
    private func isBelieved(_ flight: Int, _ state: ProbeWindow.Flight) -> Bool {
        guard let hit else { return true }
        return hit.retransmitted ? state.start < hit.connected : flight < hit.flight
    }

    private mutating func giveUp(_ flight: Int, now: Instant, _ actions: inout [Action]) {
        actions.append(.cancel(flight: flight))
        miss(flight, .timedOut, now: now, &actions)
    }

    private mutating func miss(
        _ flight: Int, _ kind: MissKind, now: Instant, _ actions: inout [Action]
    ) {
        guard let state = flights[flight] else { return }
        misses[Int(kind.rawValue)] += 1
        let verdict: ProbeWindow.Verdict =
            switch kind {
            case .local: .nothing
            // Established, the SYN was let through: that nothing followed says nothing sure.
            case .timedOut: state.connected == nil ? .silence : .nothing
            default: .turnedAway
            }
        flights.update(flight) { $0.ended = now }
        end(flight, as: state.isFresh ? verdict : .nothing)
        actions.append(.missed(kind))
        settleIfDone(&actions)
    }

    private mutating func end(_ flight: Int, as verdict: ProbeWindow.Verdict) {
        flights.update(flight) {
            $0.verdict = verdict
            if $0.ended == nil { $0.ended = $0.connected ?? $0.start }
        }
        flights.close(flight)
        while let (number, state) = flights.popEnded() {
            if isBelieved(number, state) { evidence.add(state) }
        }
    }

    private mutating func fail(now: Instant, _ actions: inout [Action]) {
        while let flight = flights.oldest { giveUp(flight, now: now, &actions) }
        phase = .failed
        nextSlot = Instant(nanoseconds: .max)
        actions.append(.failed)
        actions.append(.settled)
    }

    private mutating func settleIfDone(_ actions: inout [Action]) {
        guard phase == .settling, flights.flying == 0 else { return }
        phase = .done
        actions.append(.settled)
    }
}
