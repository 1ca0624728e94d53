import Pacing

/// What the client's machines ask their adapter to do.
///
/// A *flight* is one probe under way, named by a small number that is used again after its end; a
/// *target* is one entry × address × port of the connection list, named by its place in it.
enum ProbeAction: Equatable, Sendable {
    /// Connect to the target, send `GET /`, report the response head: its `attempt`-th probe.
    case launch(flight: Int, target: Int, attempt: Int)
    /// Break the probe off; nothing more is reported of it.
    case cancel(flight: Int)
    /// The target answered with 200 for the first time. Its ledger entry has the moment.
    case answered(target: Int)
    /// No probe is out any more that could narrow the bounds of the target's result.
    case bounded(target: Int)
    /// A target that answered has stopped to (`--expect deny`). Its ledger entry has the moment.
    case denied(target: Int)
    /// A probe failed: the target's `count`-th failure in all.
    case failed(target: Int, reason: ProbeFailure, count: Int)
    /// So many failures in a row that the target counts as failed, once; it is probed on.
    case movedToFailedQueue(target: Int)
    /// The first sign that the policies are being created: full pace from now on.
    case openedGate
    /// Once: the probes may hold very many connection-tracking entries; for the log.
    case loadIsHigh(warning: String)
    /// Every target has its result, and no evidence is outstanding.
    case finished
}

/// Why a probe did not succeed. All but `.unresolved` and `.local` say something about the target.
enum ProbeFailure: UInt8, Equatable, Hashable, Sendable, CaseIterable {
    /// Connection refused: nobody listens, or a firewall answers with a reset.
    case refused
    /// Reset or closed before the response head was complete.
    case reset
    /// Host, network or port unreachable, or administratively prohibited.
    case unreachable
    /// No answer within the probe's timeout.
    case timedOut
    /// No answer so far, and its place was needed for a fresh probe; or a younger one has answered.
    case unanswered
    /// An answer with a status other than 200.
    case status
    /// An answer that is not HTTP.
    case malformed
    /// The target's name did not resolve (in time): it was never asked.
    case unresolved
    /// This machine could not even try: out of descriptors, ports or buffers.
    case local
}

/// The pace at which a client probes its targets: ``BoundedMachine`` or ``ClassicMachine``.
///
/// Pure: told what happened and what time it is, they append what to do.
///
/// A timeout is never our own lateness: what waits in the kernel is told before time is called, and
/// a SYN or a request that is ``sent(_:now:)`` late gives its probe the whole timeout anew.
protocol ProbePacing: Machine, Sendable where Action == ProbeAction {
    var ledger: ProbeLedger { get }
    /// The time between two probes of one target as it is now, stretched by the limits.
    var effectiveInterval: Duration { get }
    var isGateOpen: Bool { get }
    var inFlight: Int { get }

    mutating func start(now: Instant, _ actions: inout [ProbeAction])
    /// The target's name is being looked up: no SYN is sent yet.
    mutating func resolving(_ flight: Int)
    /// The SYN, or on a connection that stands the request, has left this machine.
    mutating func sent(_ flight: Int, now: Instant)
    /// The connection stands.
    /// - Parameter retransmitted: the kernel had to send the SYN more than once.
    mutating func connected(_ flight: Int, retransmitted: Bool, now: Instant)
    /// The response head has arrived.
    mutating func answered(
        _ flight: Int, status: Int, now: Instant, _ actions: inout [ProbeAction])
    mutating func failed(
        _ flight: Int, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction])
    /// Breaks everything off; the ledger stays.
    mutating func stop(_ actions: inout [ProbeAction])
}

extension ProbePacing {
    /// Whether this turn comes later than the machine wanted to be called, by more than a timer's
    /// grain: the process was stopped, throttled or busy.
    func isLate(_ now: Instant) -> Bool {
        nextDeadline.map { now - $0 > Punctuality.grain } ?? false
    }
}

/// What may be called in time.
enum Punctuality {
    /// Timers count in milliseconds; what is later than this has another reason.
    static let grain = Duration.milliseconds(2)
}

/// What a client run waits for.
public enum PolicyExpectation: String, Sendable, CaseIterable {
    /// Targets are blocked, and answer once a policy allows it.
    case allow
    /// Targets answer, and stop to once a policy forbids it.
    case deny
}
