import ArgumentParser
import NetworkPolicy
import Pacing
import Reactor

struct NetworkPolicyClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "The client pod: probe targets and note when each first answers.",
        discussion: """
            POST /check starts a run (a second one replaces the first), GET /results returns what \
            was found so far; also /status, /metrics, /healthz, /readyz.

            Every result carries its own error bound: the true moment lies between `notbefore` \
            and `timestamp`.
            """)

    @Option(
        help: ArgumentHelp("Where the API listens.", valueName: "address:port"))
    var listen = SocketAddress(.anyV6, port: 9001)

    @OptionGroup(title: "Probing") var probing: ProbingOptions
    @Option(
        help: ArgumentHelp(
            """
            Memory for lists while they are received, all together. One that finds no room is \
            answered with 503 and Retry-After, one that is longer with 413.
            """, valueName: "size"))
    var maxBodyMemory = ByteSize(64 << 20)

    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    mutating func run() throws {
        var configuration = try probing.clientConfiguration()
        configuration.listen = listen
        configuration.allowFrom = access.allowFrom
        configuration.maxBodyMemory = maxBodyMemory.bytes
        try runService(service) { [security] loop, logger in
            ClientService(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
        }
    }
}

/// How a client probes; shared by `client` and `demo`.
struct ProbingOptions: ParsableArguments {
    @Flag(help: "Probe at full pace from the start, without waiting for the first success.")
    var noGate = false

    @Option(
        help: ArgumentHelp(
            "Probes per second until the first success, if --idle-interval allows it; few targets "
                + "are probed once an --interval from the start.", valueName: "count"))
    var idleRate: PositiveCount = 200

    @Option(
        help: ArgumentHelp(
            "The longest time between two probes of a target until the first success.",
            valueName: "duration"))
    var idleInterval = PositiveDuration(.milliseconds(400))

    @Option(
        help: ArgumentHelp(
            """
            Until the first success probe only the first address of so many policies; 0 for all. \
            (Other targets then have no lower bound.)
            """, valueName: "count"))
    var sentinels = 0

    @Option(
        help: ArgumentHelp("Time between two probes of a target.", valueName: "duration"))
    var interval = PositiveDuration(.milliseconds(100))

    @Option(
        help: ArgumentHelp(
            "Probes per second at most; stretches the interval.", valueName: "count"))
    var maxRate: PositiveCount = 10_000

    @Option(
        help: ArgumentHelp(
            "Probes under way at most (default: the file descriptor limit less a reserve).",
            valueName: "count"))
    var maxInFlight: PositiveCount?

    @Option(
        help: ArgumentHelp(
            "How long a probe keeps its slot even when slots run short.", valueName: "duration"))
    var minFlight = PositiveDuration(.milliseconds(250))

    @Option(
        help: ArgumentHelp("The longest a whole probe may take.", valueName: "duration"))
    var timeout = PositiveDuration(.milliseconds(1500))

    @Option(
        help: ArgumentHelp(
            "Failures in a row until a target counts as failed (deny: as closed).",
            valueName: "count"))
    var attempts: PositiveCount = 3

    @Option(help: "Wait for targets to open (allow) or to close (deny).")
    var expect = PolicyExpectation.allow

    @Option(
        help: """
            bounded: every target once an interval. classic: batches in workers, as the older tool \
            does, for comparison (its error is seconds).
            """)
    var pacing = ClientConfiguration.Pacing.bounded

    @Option(
        help: ArgumentHelp(
            "classic: workers (default: 10, or PARALLEL_CONNECTIONS).", valueName: "count"))
    var parallel: PositiveCount?

    @Option(
        help: ArgumentHelp(
            "classic: targets in a batch (default: 10, or PARALLEL_CONNECTIONS).",
            valueName: "count"))
    var batch: PositiveCount?

    @Option(
        help: ArgumentHelp("Of the order of first probes (default: random).", valueName: "number"))
    var seed: UInt64?

    func validate() throws {
        if sentinels < 0 { throw ValidationError("--sentinels \(sentinels): expected 0 or more") }
        if pacing == .classic, expect == .deny {
            throw ValidationError("--pacing classic: expected bounded together with --expect deny")
        }
    }

    func clientConfiguration() throws -> ClientConfiguration {
        var configuration = ClientConfiguration()
        configuration.usesGate = !noGate
        configuration.idleRate = idleRate.count
        configuration.idleInterval = idleInterval.duration
        configuration.sentinels = sentinels
        configuration.interval = interval.duration
        configuration.maxRate = maxRate.count
        configuration.maxInFlight = maxInFlight?.count
        configuration.minFlight = minFlight.duration
        configuration.timeout = timeout.duration
        configuration.attempts = attempts.count
        configuration.expectation = expect
        configuration.pacing = pacing
        configuration.seed = seed
        let inherited = try parallelConnectionsFromEnvironment()
        configuration.parallel = parallel?.count ?? inherited ?? configuration.parallel
        configuration.batch = batch?.count ?? inherited ?? configuration.batch
        return configuration
    }

    private func parallelConnectionsFromEnvironment() throws -> Int? {
        guard let text = Environment["PARALLEL_CONNECTIONS"], !text.isEmpty else { return nil }
        guard let count = Int(text), count > 0 else {
            throw Failure.usage(
                "PARALLEL_CONNECTIONS=\(text): expected a whole number above zero")
        }
        return count
    }
}

extension PolicyExpectation: ExpressibleByArgument {}
extension ClientConfiguration.Pacing: ExpressibleByArgument {}
