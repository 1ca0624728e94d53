import ArgumentParser
import EgressGateway
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
            standard output; exit code 1 without an answer.

            The delay counts from the start of the process, and its uncertainty says by how much \
            it may be too long.
            """)

    @Option(help: ArgumentHelp("The external target.", valueName: "ip:port"))
    var externalTargetAddr: TargetAddress

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
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    func validate() throws {
        let target = externalTargetAddr.address
        for source in stress.sourceAddr where source.isIPv6 != target.ipAddress.isIPv6 {
            throw ValidationError(
                "--source-addr \(source): expected an address of the target's family (\(target))")
        }
    }

    mutating func run() throws {
        var configuration = EgressClientConfiguration(
            target: externalTargetAddr.address, start: .measure())
        configuration.listen = listen
        configuration.allowFrom = access.allowFrom
        configuration.interval = interval.duration
        configuration.testTimeout = testTimeout.duration
        configuration.probeTimeout = probeTimeout?.duration
        configuration.stress = stress.configuration()
        EventLoop.raiseDescriptorLimit()
        var client: EgressClientService?
        try runService(service) { [configuration] loop, logger in
            let service = EgressClientService(
                loop: loop, configuration: configuration, logger: logger)
            client = service
            return service
        }
        guard let client else { return }
        try StandardStream.output.printLine(client.summary)
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

    @Option(
        help: ArgumentHelp("Dials under way at once; 1 for one by one.", valueName: "count"))
    var stressConcurrency: PositiveCount = 64

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
        configuration.concurrency = stressConcurrency.count
        configuration.maximum = stressMax?.count
        configuration.sources = sourceAddr
        configuration.perSource = stressPerSource.count
        configuration.dialTimeout = stressDialTimeout.duration
        configuration.keepAlive =
            stressKeepAlive.duration == .zero ? nil : stressKeepAlive.duration
        return configuration
    }
}

/// An address to connect to: both parts are needed.
struct TargetAddress: ExpressibleByArgument {
    let address: SocketAddress

    init?(argument: String) {
        guard !argument.hasPrefix(":"), let address = SocketAddress(argument), address.port != 0
        else { return nil }
        self.address = address
    }
}
