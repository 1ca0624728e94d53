import ArgumentParser
import NetworkPolicy
import Pacing
import Reactor

struct NetworkPolicyProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proxy",
        abstract: "The proxy pod: hand each client its list, collect their results.",
        discussion: """
            POST /initiate starts delivery (a second one replaces the first), \
            GET /checkConnectionsStatus says when every client has its list; /stop starts \
            collection, GET /checkStopStatus says when it is done, GET /results returns all. Also \
            /status, /metrics, /healthz, /readyz.

            A client that is dead, silent or failing is retried, then given up and listed in \
            /status; it never delays the others. A client without an IP address, as orchestrators \
            write for a pod that has none yet, is skipped and listed there, too.
            """)

    @Option(help: ArgumentHelp("Where the API listens.", valueName: "address:port"))
    var listen = SocketAddress(.anyV6, port: 9002)

    @Option(help: ArgumentHelp("Where clients listen that are named without a port."))
    var clientPort: UInt16 = 9001

    @Option(
        help: ArgumentHelp(
            "Clients served at once (20 is what the older tool does).", valueName: "count"))
    var parallel: PositiveCount = 512

    @Option(help: ArgumentHelp("The longest one request may take.", valueName: "duration"))
    var timeout = PositiveDuration(.seconds(10))

    @Option(
        help: ArgumentHelp(
            "How long a client that does not answer well is retried.", valueName: "duration"))
    var giveUp = PositiveDuration(.seconds(300))

    @Flag(help: "Log every result that was collected.")
    var logResults = false

    @Option(
        help: ArgumentHelp(
            """
            Memory for documents while they are received, all together. One that finds no room is \
            answered with 503 and Retry-After, one that is longer with 413.
            """, valueName: "size"))
    var maxBodyMemory = ByteSize(512 << 20)

    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    func validate() throws {
        guard clientPort > 0 else {
            throw ValidationError("--client-port 0: expected a port from 1 to 65535")
        }
    }

    mutating func run() throws {
        var configuration = ProxyConfiguration()
        configuration.listen = listen
        configuration.allowFrom = access.allowFrom
        configuration.maxBodyMemory = maxBodyMemory.bytes
        configuration.clientPort = clientPort
        configuration.parallel = parallel.count
        configuration.requestTimeout = timeout.duration
        configuration.giveUp = giveUp.duration
        configuration.logsResults = logResults
        try runService(service) { [configuration, security] loop, logger in
            ProxyService(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
        }
    }
}
