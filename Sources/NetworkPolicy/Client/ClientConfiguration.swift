import Instrument
import Pacing
import Reactor
import Telemetry

/// The settings of a probe client pod.
public struct ClientConfiguration: Sendable {
    /// How probes are scheduled.
    public enum Pacing: String, Sendable, CaseIterable {
        /// Every pending target once an interval.
        case bounded
        /// Batches in workers, as the older tool does; for comparison.
        case classic
    }

    /// Where the API listens.
    public var listen = SocketAddress(.anyV6, port: 9001)
    /// The sources that may use the API; empty for all.
    public var allowFrom = AccessRule()
    /// How probes are scheduled.
    public var pacing = Pacing.bounded
    /// Whether targets are waited for to open, or to close.
    public var expectation = PolicyExpectation.allow
    /// Whether to idle until the first sign of a policy.
    public var usesGate = true
    /// The longest time between two probes of one target while the gate is closed.
    public var idleInterval = Duration.milliseconds(400)
    /// Probes per second while the gate is closed, if `idleInterval` allows it.
    public var idleRate = 200
    /// Policies whose first address is probed while the gate is closed; 0 for all targets.
    public var sentinels = 0
    /// The time between two probes of one target.
    public var interval = Duration.milliseconds(100)
    /// Probes per second, at most.
    public var maxRate = 10_000
    /// Probes under way, at most; nil for what the descriptor limit allows, less a reserve that
    /// keeps the API answering.
    public var maxInFlight: Int?
    /// How long a probe keeps its slot even when slots run short.
    public var minFlight = Duration.milliseconds(250)
    /// The longest a whole probe may take, from its SYN on.
    public var timeout = Duration.milliseconds(1500)
    /// Failures in a row until a target counts as failed (deny: as closed).
    public var attempts = 3
    /// Of the order of first probes; nil for one that differs from run to run.
    public var seed: UInt64?
    /// Workers of the classic pacing.
    public var parallel = 10
    /// Targets in a batch of the classic pacing.
    public var batch = 10
    /// The longest connection list that is accepted, in bytes.
    public var maxBodyBytes: Int64 = 256 << 20
    /// Bytes of content that is being received, of all connections together.
    public var maxBodyMemory: Int64 = 64 << 20
    /// Targets in one list, at most.
    public var maxTargets = 1_000_000

    /// Everything at its default.
    public init() {}

    /// Descriptors that are not spent on probes: API connections, listeners, the loop's own.
    static let descriptorReserve = 128

    var slots: Int {
        let limit = max(EventLoop.descriptorLimit - ClientConfiguration.descriptorReserve, 16)
        return min(maxInFlight ?? limit, limit)
    }

    /// The time between two probes of one of so many targets until the first success.
    public func idlePace(targets: Int) -> Duration {
        bounded.idlePace(targets: sentinels > 0 ? min(sentinels, targets) : targets)
    }

    private var bounded: BoundedMachine.Configuration {
        var bounded = BoundedMachine.Configuration()
        bounded.interval = interval
        bounded.idleInterval = idleInterval
        bounded.idleRate = idleRate
        bounded.usesGate = usesGate
        bounded.sentinels = sentinels
        bounded.maxRate = maxRate
        bounded.maxInFlight = slots
        bounded.minFlight = minFlight
        bounded.timeout = timeout
        bounded.attempts = attempts
        bounded.expectation = expectation
        return bounded
    }

    /// - Parameter load: what the runs before have asked of the network.
    func runner(
        loop: EventLoop, list: ConnectionList, load: ProbeLoad,
        observe: @escaping (ProbeAction) -> Void
    ) -> any ProbeRunning {
        let policies = list.targets.map { Int($0.policy) }
        switch pacing {
        case .bounded:
            var bounded = bounded
            bounded.seed = seed ?? UInt64(bitPattern: EventLoop.wallClockNanoseconds)
            bounded.load = load
            return ProbeRunner(
                loop: loop, list: list,
                machine: BoundedMachine(policies: policies, configuration: bounded),
                observe: observe)
        case .classic:
            var classic = ClassicMachine.Configuration()
            classic.parallel = parallel
            classic.batch = batch
            classic.usesGate = usesGate
            classic.idleInterval = idleInterval
            if sentinels > 0 { classic.sentinels = sentinels }
            classic.timeout = timeout
            classic.attempts = attempts
            classic.load = load
            return ProbeRunner(
                loop: loop, list: list,
                machine: ClassicMachine(policies: policies, configuration: classic),
                observe: observe)
        }
    }
}
