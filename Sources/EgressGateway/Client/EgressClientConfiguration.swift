import Instrument
import Pacing
import Reactor
import Telemetry

/// The settings of a masquerade probe client.
public struct EgressClientConfiguration: Sendable {
    /// The external target.
    public var target: EgressTarget
    /// When the test began; the delay counts from here.
    public var start: ProcessStart
    /// Where the API listens.
    public var listen = SocketAddress(.anyV6, port: 2112)
    /// The sources that may use the API; empty for all.
    public var allowFrom = AccessRule()
    /// Between two probes.
    public var interval = Duration.milliseconds(50)
    /// The longest a probe may take; nil for one second, or the interval if that is longer.
    public var probeTimeout: Duration?
    /// Without an answer by then, counted from the start, the test has failed.
    public var testTimeout = Duration.seconds(60)
    /// The settings of the connection stress that follows a successful probe; nil for none.
    public var stress: Stress?

    /// Opens connections and keeps them until the target has had enough.
    public struct Stress: Sendable {
        /// Between the first answer and the first connection.
        public var delay = Duration.zero
        /// Dials under way at once.
        public var concurrency = 64
        /// Whether three failures end the stress wherever they come, as in the original; else only
        /// three in a row do.
        public var countsAllFailures = false
        /// Connections to open in all; nil for no limit.
        public var maximum: Int?
        /// The addresses to connect from; empty leaves the choice to the kernel.
        public var sources: [IPAddress] = []
        /// Connections open at once from one of ``sources``.
        public var perSource = 10_000
        /// The longest a dial may take.
        public var dialTimeout = Duration.seconds(5)
        /// Silence after which the kernel asks each peer whether it is still there; nil for never.
        public var keepAlive: Duration? = .seconds(1)

        /// Everything at its default.
        public init() {}
    }

    /// All but these at their defaults.
    public init(target: EgressTarget, start: ProcessStart) {
        self.target = target
        self.start = start
    }

    /// Descriptors that are not spent on connections, so that the API keeps answering.
    static func descriptorBudget(limit: Int) -> Int { max(limit - min(128, limit / 2), 8) }

    func machine(descriptorLimit: Int, seed: UInt64) -> MasqueradeMachine {
        var configuration = MasqueradeMachine.Configuration()
        configuration.interval = interval
        configuration.probeTimeout = probeTimeout ?? max(interval, .seconds(1))
        configuration.testTimeout = testTimeout
        configuration.maxInFlight = EgressClientConfiguration.descriptorBudget(
            limit: descriptorLimit)
        configuration.ports = ports(of: EventLoop.ephemeralPorts)
        configuration.seed = seed
        configuration.isNamed = target.address == nil
        return MasqueradeMachine(configuration: configuration)
    }

    /// The kernel's own range, or a wider one if that would be used up during the test.
    private func ports(of usual: ClosedRange<UInt16>) -> ClosedRange<UInt16> {
        interval * usual.count >= testTimeout ? usual : 1024...65535
    }

    func stressMachine(
        _ stress: Stress, descriptorLimit: Int, load: ProbeLoad
    ) -> StressMachine {
        var configuration = StressMachine.Configuration()
        configuration.concurrency = stress.concurrency
        configuration.countsAllFailures = stress.countsAllFailures
        configuration.maximum = stress.maximum
        configuration.sources = stress.sources.count
        configuration.perSource = stress.perSource
        configuration.descriptors = EgressClientConfiguration.descriptorBudget(
            limit: descriptorLimit)
        return StressMachine(configuration: configuration, load: load)
    }
}
