import Pacing
import Telemetry

/// Probes a target at fixed moments until one probe gets `pong`: the first moment at which traffic
/// is known to be masqueraded.
///
///     phase      event                          phase      actions
///     idle       start                          probing    launch; resolve, if it is a name
///     probing    start + k × interval           probing    launch, or a local miss without a slot
///     probing    resolved                       probing    launch
///     probing    unresolved                     probing    missed; resolve again at a later slot
///     probing    closed, refused, …             probing    missed
///     probing    probe timeout                  probing    cancel, missed
///     probing    pong                           settling   answered; cancel what can say no more
///     probing    test timeout                   failed     cancel for all; failed, settled
///     settling   miss, timeout, late pong       settling   missed
///     settling   no probe left                  done       settled
///     any        stop                           –          cancel for all
///
/// Probes overlap: an older one that is not answered yet holds nobody up. A slot that passes while
/// the program is busy is skipped, not made up for: two probes at once tell no more than one.
///
/// The claim behind the result is that masquerading began in [notBefore, moment]; ``ProbeEvidence``
/// says why, and what is proven of it. After the first `pong` the older probes fly on, because what
/// becomes of them narrows these bounds; until then they hold, but are wider than they will be.
///
/// Time that this process slept through, stopped or without a processor, is not charged to the
/// target: no probe is given up before it was waited for with open eyes, and a test whose end was
/// slept through goes on for a moment, once. What comes after `--test-timeout` all the same is too
/// late; probes that are under way then have no verdict.
struct MasqueradeMachine: Machine, Sendable {
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
        /// Whether the target's address has to be asked for.
        var isNamed = false
    }

    enum Action: Equatable, Sendable {
        /// Look the target's name up and report what came of it.
        case resolve
        /// Connect from this local port and report what happens.
        case launch(flight: Int, port: UInt16?)
        /// Break the probe off; nothing more is reported of it.
        case cancel(flight: Int)
        /// One more miss; ``misses`` has the counts.
        case missed(MissKind)
        /// For the log: what the probes may do to the network.
        case warned(String)
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
    /// Local ports tried for one probe when others hold them.
    private static let portTries: UInt8 = 16
    /// Between a look-up that failed and the next.
    private static let lookupPause = Duration.milliseconds(100)

    private enum Lookup { case needed, underWay, done }

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
    /// Slots that passed while the program was busy, or waited for the target's address.
    private(set) var skipped = 0
    /// What the probes ask of the network.
    private(set) var load = ProbeLoad()

    private var flights = ProbeWindow()
    private var lookup: Lookup
    private var nextSlot = Instant(nanoseconds: .max)
    private var testEnd = Instant(nanoseconds: .max)
    private var isExtended = false
    private var sleep = OwnSleep()
    private var ports: LocalPorts

    init(configuration: Configuration) {
        self.configuration = configuration
        lookup = configuration.isNamed ? .needed : .done
        ports = LocalPorts(
            range: configuration.ports, interval: configuration.interval, seed: configuration.seed)
    }

    var inFlight: Int { flights.flying }
    var missCount: Int { misses.reduce(0, +) }
    /// Misses of the target's or the path's making; not those of this machine's.
    var leaks: Int { MissKind.allCases.filter { !$0.isLocal }.reduce(0) { $0 + misses($1) } }
    /// Probes that have, or will have, a verdict.
    var probes: Int { started - surplus }

    func misses(_ kind: MissKind) -> Int { misses[Int(kind.rawValue)] }

    /// From the origin to the moment at which masquerading is known to work.
    var delay: Duration? { hit.map { $0.connected - origin } }

    /// The latest moment at which traffic is proven not to have been masqueraded.
    var notBefore: Instant? { notBefore(.proven) }

    /// The same for either kind of evidence; nil without any. What is presumed, only where it is
    /// later than what is proven.
    func notBefore(_ kind: ProbeEvidence.Kind) -> Instant? {
        var evidence = evidence
        flights.forEachEnded { if isBelieved($0, $1) { evidence.add($1) } }
        return evidence.lowerBound(kind)
    }

    /// How wide the bounds are; nil while, or where, one of the two is not known.
    func uncertainty(_ kind: ProbeEvidence.Kind) -> Duration? {
        guard let hit, let bound = notBefore(kind) else { return nil }
        return hit.connected - bound
    }

    /// The moment at which ``tick(now:_:)`` wants to be called; nil while nothing is pending.
    var nextDeadline: Instant? {
        let expiry = flights.oldestFlight.map(expiry(of:))
        guard phase == .probing else { return expiry }
        return min(nextSlot, testEnd, expiry ?? nextSlot)
    }

    private func expiry(of flight: ProbeWindow.Flight) -> Instant {
        flight.start + configuration.probeTimeout + forgiven(flight)
    }

    private func forgiven(_ flight: ProbeWindow.Flight) -> Duration {
        sleep.forgiven(since: flight.sleptBefore, patience: configuration.probeTimeout)
    }

    /// A test whose end was slept through goes on for as long as a probe may need, once.
    private mutating func wake(_ now: Instant) {
        guard let slept = sleep.wake(now: now, due: nextDeadline), now >= testEnd, !isExtended
        else { return }
        isExtended = true
        testEnd = now + min(slept, configuration.probeTimeout)
    }

    // MARK: - Events

    /// - Parameter origin: the start of the test, not after `now`: slots and the delay count from
    ///   it, and what lies before `now` is past.
    mutating func start(origin: Instant, now: Instant, _ actions: inout [Action]) {
        guard phase == .idle else { return }
        phase = .probing
        self.origin = min(origin, now)
        testEnd = self.origin + configuration.testTimeout
        nextSlot = now
        tick(now: now, &actions)
    }

    /// The target's address is known.
    mutating func resolved(now: Instant, _ actions: inout [Action]) {
        wake(now)
        guard lookup == .underWay else { return }
        lookup = .done
        if phase == .probing { launch(now: now, &actions) }
    }

    /// The target's address could not be had.
    mutating func unresolved(now: Instant, _ actions: inout [Action]) {
        wake(now)
        guard lookup == .underWay else { return }
        lookup = .needed
        guard phase == .probing else { return }
        nextSlot = max(nextSlot, now + MasqueradeMachine.lookupPause)
        missUnsent(.unresolved, &actions)
    }

    /// The connection stands.
    /// - Parameter retransmitted: the kernel had to send the SYN more than once.
    mutating func connected(_ flight: Int, retransmitted: Bool, now: Instant) {
        wake(now)
        guard let start = flights[flight]?.start else { return }
        flights.update(flight) {
            $0.connected = now
            $0.retransmitted = retransmitted
        }
        load.answered(startedAt: start, now: now)
        if !retransmitted { evidence.roundTrip(now - start) }
    }

    /// Bytes have come.
    mutating func received(
        _ flight: Int, _ bytes: UnsafeRawBufferPointer, now: Instant, _ actions: inout [Action]
    ) {
        wake(now)
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

    /// The connection has ended.
    /// - Parameter isBroken: by a reset or the like; not closed by the target in good order.
    mutating func ended(
        _ flight: Int, isBroken: Bool, now: Instant, _ actions: inout [Action]
    ) {
        wake(now)
        guard let state = flights[flight] else { return }
        let kind: MissKind =
            isBroken ? .reset : state.matched == 0 ? .closed : .wrongReply
        miss(flight, kind, now: now, &actions)
    }

    /// The connection did not come about.
    mutating func failed(
        _ flight: Int, _ kind: MissKind, now: Instant, _ actions: inout [Action]
    ) {
        wake(now)
        guard let start = flights[flight]?.start else { return }
        if kind == .refused || kind == .local { load.answered(startedAt: start, now: now) }
        miss(flight, kind, now: now, &actions)
    }

    /// Somebody else holds the local port of the launch.
    mutating func portTaken(_ flight: Int, now: Instant, _ actions: inout [Action]) {
        wake(now)
        guard let state = flights[flight] else { return }
        guard phase == .probing, configuration.ports != nil,
            state.portTries < MasqueradeMachine.portTries
        else {
            failed(flight, .local, now: now, &actions)
            return
        }
        // The start stays: earlier than the SYN, it can only make the bounds wider.
        let (port, isFresh) = ports.next()
        flights.update(flight) {
            $0.portTries += 1
            $0.isFresh = isFresh
        }
        actions.append(.launch(flight: flight, port: port))
    }

    mutating func tick(now: Instant, _ actions: inout [Action]) {
        wake(now)
        while let flight = flights.oldest, let state = flights.oldestFlight,
            now >= expiry(of: state)
        {
            giveUp(flight, as: .timedOut, now: now, &actions)
        }
        guard phase == .probing else { return }
        if now >= testEnd {
            fail(&actions)
        } else if now >= nextSlot {
            advanceSlot(now: now)
            launch(now: now, &actions)
        }
    }

    /// Breaks everything off; counts and bounds stay.
    mutating func stop(_ actions: inout [Action]) {
        breakOff(&actions)
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
        guard lookup == .done else {
            if lookup == .needed { actions.append(.resolve) } else { skipped += 1 }
            lookup = .underWay
            return
        }
        if flights.flying >= max(configuration.maxInFlight, 1) {
            guard let oldest = flights.oldest, let state = flights.oldestFlight,
                now - state.start - forgiven(state) >= configuration.minFlight
            else { return missUnsent(.local, &actions) }
            // It would have been waited for longer, had this machine more slots.
            giveUp(oldest, as: .local, now: now, &actions)
        }
        started += 1
        let (port, isFresh) = ports.next()
        let flight = flights.open(at: now, sleptBefore: sleep.total, isFresh: isFresh)
        actions.append(.launch(flight: flight, port: port))
        load.started(now: now)
        if let text = load.warning(flag: "a longer --interval") { actions.append(.warned(text)) }
    }

    private mutating func missUnsent(_ kind: MissKind, _ actions: inout [Action]) {
        started += 1
        misses[Int(kind.rawValue)] += 1
        actions.append(.missed(kind))
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

    private mutating func giveUp(
        _ flight: Int, as kind: MissKind, now: Instant, _ actions: inout [Action]
    ) {
        actions.append(.cancel(flight: flight))
        miss(flight, kind, now: now, &actions)
    }

    private mutating func breakOff(_ actions: inout [Action]) {
        while let flight = flights.oldest {
            actions.append(.cancel(flight: flight))
            surplus += 1
            end(flight, as: .nothing)
        }
    }

    private mutating func miss(
        _ flight: Int, _ kind: MissKind, now: Instant, _ actions: inout [Action]
    ) {
        guard let state = flights[flight] else { return }
        misses[Int(kind.rawValue)] += 1
        let verdict: ProbeWindow.Verdict =
            switch kind {
            case .closed: .closed
            case .refused, .unreachable: .refused
            // Established, the SYN was let through: that nothing followed says nothing sure.
            case .timedOut: state.connected == nil ? .silence : .nothing
            case .local, .unresolved, .reset, .wrongReply: .nothing
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

    private mutating func fail(_ actions: inout [Action]) {
        breakOff(&actions)
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
