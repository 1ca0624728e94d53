import ArgumentParser
import HTTPCodec
import LongLived
import Pacing
import Reactor

struct LongLivedServerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "server",
        abstract: "Answer every request after a random delay with the name of this pod.",
        discussion: """
            The body is `Response from Pod <id>`, and the field Pod-Id says the same, on every \
            path; /healthz, /readyz, /metrics and /status are on --metrics-listen. After \
            SIGTERM nothing new is accepted, and what waits is answered with `Connection: close` \
            when its time has come, within --grace. It ends with its counts on standard output.
            """)

    @Option(help: ArgumentHelp("Where requests come in.", valueName: "address:port"))
    var listen = SocketAddress(.anyV6, port: 5000)

    @Option(
        help: ArgumentHelp(
            "Each answer waits so long, or for a random time between two: 20s..60s.",
            valueName: "time-range"))
    var delay = DurationRange(.zero ... .zero)

    @Option(
        help: ArgumentHelp(
            "Who answers (default: the environment's POD_ID, else the host name).",
            valueName: "id"))
    var podId: String?

    @Option(
        help: """
            After an answer: keep-alive leaves the connection to the client, close closes it, so \
            that each request finds its pod anew.
            """)
    var connection = DelayingServerConfiguration.ConnectionUse.keepAlive

    @Option(
        help: ArgumentHelp(
            "Close a connection with this many answers (default: no limit).", valueName: "count"))
    var maxRequests: PositiveCount?

    @Option(
        help: ArgumentHelp(
            "The first answer after so long closes its connection (default: never).",
            valueName: "duration"))
    var maxAge: PositiveDuration?

    @Option(
        help: ArgumentHelp("A connection idle for so long closes.", valueName: "duration"))
    var idleTimeout = PositiveDuration(.seconds(3600))

    @Flag(help: "Share the port with other processes; the kernel divides connections.")
    var reusePort = false

    @Option(
        help: ArgumentHelp(
            "Where /metrics and /status are served (default: nowhere).", valueName: "address:port"))
    var metricsListen: SocketAddress?

    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Access") var access: AccessOptions

    @Option(help: ArgumentHelp("Decides about the delays (default: the clock).", valueName: "seed"))
    var seed: UInt64?

    @Option(
        help: ArgumentHelp(
            "How long to finish what is under way after SIGTERM.", valueName: "duration"))
    var grace = PositiveDuration(.seconds(60))

    @Option(help: "What to log: debug, info, warning or error.")
    var logLevel = LogLevel.info

    func validate() throws {
        guard let podId, !HeadWriter.isValue(podId) || podId.contains(" ") || podId.isEmpty else {
            return
        }
        throw ValidationError("--pod-id \"\(podId)\": expected a name without spaces")
    }

    mutating func run() throws {
        let name = podId ?? Environment["POD_ID"] ?? Environment.hostName ?? "unknown"
        guard HeadWriter.isValue(name), !name.contains(" "), !name.isEmpty else {
            throw Failure.usage("POD_ID \"\(name)\": expected a name without spaces")
        }
        var configuration = DelayingServerConfiguration(podID: name)
        configuration.listen = listen
        configuration.delay = delay.range
        configuration.connectionUse = connection
        configuration.maximumRequests = maxRequests?.count
        configuration.maximumAge = maxAge?.duration
        configuration.idleTimeout = idleTimeout.duration
        configuration.reusesPort = reusePort
        configuration.metricsListen = metricsListen
        configuration.allowFrom = access.allowFrom
        configuration.seed = seed ?? UInt64(bitPattern: EventLoop.wallClockNanoseconds)
        EventLoop.raiseDescriptorLimit()
        var server: DelayingServer?
        try runService(logLevel: logLevel, grace: grace.duration) {
            [configuration, security] loop, logger in
            let service = DelayingServer(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
            server = service
            return service
        }
        if let server { try StandardStream.output.printLine(server.summary) }
    }
}

extension DelayingServerConfiguration.ConnectionUse: ExpressibleByArgument {}
