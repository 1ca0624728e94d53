import ArgumentParser
import EgressGateway
import Instrument
import Pacing
import Reactor

struct EgressClientCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Probe the external target until it answers; then, if asked to, stress it.",
        discussion: """
            GET /readyz is 500, and 200 once the test has finished: the target has answered, or \
            the test timeout has passed, or with --stress no more connections are opened. Also \
            /metrics, /status, /healthz. It runs until SIGTERM, and ends with a summary on \
            standard output; exit code 1 without an answer, or where --fail-on says so.

            The delay counts from the start of the process, and its uncertainty says by how much \
            it may be too long: proven by a target that closed the connection, or presumed from \
            refusals and silence, which a target that is not there yet explains as well. A name \
            is looked up until it resolves, and then kept; of several addresses an IPv4 one is \
            taken.

            --stress differs from the original, which dials one by one and ends at the third \
            failure in all: it dials 64 at once, and three failures in a row end it. \
            --stress-compat does as the original. In neither do failures of this machine count: \
            out of ports or descriptors it ends for that reason.

            Boolean flags may be written as for Go: --stress, --stress=true, --stress=0.
            """)

    @Option(help: ArgumentHelp("The external target, by address or name.", valueName: "host:port"))
    var externalTargetAddr: EgressTarget

    @Option(help: ArgumentHelp("Time between two probes.", valueName: "duration"))
    var interval = PositiveDuration(.milliseconds(50))

    @Option(
        help: ArgumentHelp(
            "Without an answer by then the test has failed.", valueName: "duration"))
    var testTimeout = PositiveDuration(.seconds(60))

    @Option(
        help: ArgumentHelp(
            "The longest a probe may take (default: 1s, or the interval if that is longer).",
            valueName: "duration"))
    var probeTimeout: PositiveDuration?

    @Option(help: ArgumentHelp("Where the API listens.", valueName: "address:port"))
    var listen = SocketAddress(.anyV6, port: 2112)

    @OptionGroup(title: "Stress") var stress: StressOptions
    @OptionGroup(title: "Result") var output: ResultOptions
    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    func validate() throws {
        try output.check(EgressClientResult.kind)
        let sources = stress.sourceAddr
        let isIPv6 = externalTargetAddr.address?.ipAddress.isIPv6 ?? sources.first?.isIPv6
        for source in sources where source.isIPv6 != isIPv6 {
            throw ValidationError(
                "--source-addr \(source): expected an address of the target's family "
                    + "(\(externalTargetAddr)), as all the others")
        }
    }

    mutating func run() throws {
        var configuration = EgressClientConfiguration(
            target: externalTargetAddr, start: .measure())
        configuration.listen = listen
        configuration.allowFrom = access.allowFrom
        configuration.interval = interval.duration
        configuration.testTimeout = testTimeout.duration
        configuration.probeTimeout = probeTimeout?.duration
        configuration.stress = stress.configuration()
        EventLoop.raiseDescriptorLimit()
        let files = output.files
        var outcome: (client: EgressClientService, loop: EventLoop, record: RunRecord)?
        try runService(service) { [configuration, security] loop, logger in
            try files.open()
            let service = EgressClientService(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
            outcome = (service, loop, RunRecord(loop: loop))
            return service
        }
        guard let (client, loop, record) = outcome else { return }
        let run = record.run(until: loop.now, command: CommandLine.arguments)
        try output.finish(client.result(run), files, summary: client.summary)
        if !client.hasSucceeded { throw ExitCode(1) }
    }
}

struct StressOptions: ParsableArguments {
    @Flag(
        help: """
            After the first answer open connections and keep them, until three dials in a row fail \
            at the target or this machine has no more.
            """)
    var stress = false

    @Option(
        help: ArgumentHelp("Between the first answer and the stress.", valueName: "time"))
    var stressDelay = NonnegativeDuration(.zero)

    @Flag(
        help: """
            Stress as the original does: one dial at a time, until three in all have failed at the \
            target.
            """)
    var stressCompat = false

    @Option(
        help: ArgumentHelp(
            "Dials under way at once (default: 64); with --stress-compat one.", valueName: "count"))
    var stressConcurrency: PositiveCount?

    @Option(
        help: ArgumentHelp("Connections to open (default: no limit).", valueName: "count"))
    var stressMax: PositiveCount?

    @Option(
        help: ArgumentHelp(
            "Connect from this address; may be repeated (default: as the kernel likes).",
            valueName: "address"))
    var sourceAddr: [IPAddress] = []

    @Option(
        help: ArgumentHelp("Connections from one --source-addr at most.", valueName: "count"))
    var stressPerSource: PositiveCount = 10_000

    @Option(help: ArgumentHelp("The longest a dial may take.", valueName: "duration"))
    var stressDialTimeout = PositiveDuration(.seconds(5))

    @Option(
        help: ArgumentHelp(
            "Silence after which a peer is asked whether it is still there; 0 for never.",
            valueName: "time"))
    var stressKeepAlive = NonnegativeDuration(.seconds(1))

    func configuration() -> EgressClientConfiguration.Stress? {
        guard stress else { return nil }
        var configuration = EgressClientConfiguration.Stress()
        configuration.delay = stressDelay.duration
        configuration.concurrency = stressConcurrency?.count ?? (stressCompat ? 1 : 64)
        configuration.countsAllFailures = stressCompat
        configuration.maximum = stressMax?.count
        configuration.sources = sourceAddr
        configuration.perSource = stressPerSource.count
        configuration.dialTimeout = stressDialTimeout.duration
        configuration.keepAlive =
            stressKeepAlive.duration == .zero ? nil : stressKeepAlive.duration
        return configuration
    }
}

/// An address or a name to connect to, and a port: both parts are needed.
extension EgressTarget: ExpressibleByArgument {
    /// As on the command line.
    public init?(argument: String) { self.init(argument) }
}
