import ArgumentParser
import Pacing
import ProxyReload
import Reactor

struct BackendCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backend",
        abstract: "Answer every GET, and say who answers and over which connection.",
        discussion: """
            200 with the headers Backend-Id: ID and Source-Port: the proxy's port. Connections are \
            kept open; it never closes first. It runs until SIGTERM and ends with a count.
            """)

    @Argument(help: "The instance's name.")
    var id: String

    @Argument(help: "The port to listen on; 0 lets the kernel choose.")
    var port: UInt16

    @Option(
        help: ArgumentHelp(
            "The address to listen on (default: every one, IPv4 and IPv6).", valueName: "address"))
    var listenAddress: IPAddress = .anyV6

    @Option(
        help: ArgumentHelp(
            "Close a connection after so many requests (default: never).", valueName: "count"))
    var closeAfter: PositiveCount?

    @Option(help: ArgumentHelp("Between a request and its answer.", valueName: "time"))
    var delay = NonnegativeDuration(.zero)

    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Metrics") var metrics: MetricsOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    mutating func run() throws {
        var configuration = BackendConfiguration(
            identifier: id, listen: SocketAddress(listenAddress, port: port))
        configuration.closeAfter = closeAfter?.count
        configuration.delay = delay.duration
        configuration.metricsListen = metrics.metricsListen
        configuration.allowFrom = metrics.access.allowFrom
        guard configuration.isValid else {
            throw Failure.usage("ID: expected 1 to 256 bytes without control characters")
        }
        EventLoop.raiseDescriptorLimit()
        var backend: BackendService?
        try runService(service) { [configuration, security] loop, logger in
            let service = BackendService(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
            backend = service
            return service
        }
        if let backend { try StandardStream.output.printLine(backend.summary) }
    }
}
