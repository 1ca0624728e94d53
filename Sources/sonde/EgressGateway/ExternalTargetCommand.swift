import ArgumentParser
import EgressGateway
import Pacing
import Reactor

struct ExternalTargetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "external-target",
        abstract: "Answer `pong` to allowed sources, and close the others' connections.",
        discussion: """
            --allowed-cidr 0.0.0.0/0 answers every IPv4 source: the baseline. It runs until SIGTERM.
            """)

    @Option(
        help: ArgumentHelp(
            "Sources to answer, such as 10.0.0.0/8 or fd00::/8; may be repeated.",
            valueName: "cidr"))
    var allowedCidr: [CIDR]

    @Option(help: ArgumentHelp("The port to listen on.", valueName: "port"))
    var listenPort: UInt16 = 1337

    @Option(
        help: ArgumentHelp(
            "The address to listen on (default: every one, IPv4 and IPv6).", valueName: "address"))
    var listenAddress: IPAddress = .anyV6

    @Flag(help: "Leave answered connections open until the client closes them.")
    var keepOpen = false

    @Option(
        help: ArgumentHelp(
            "Where /metrics and /status are served (default: nowhere).", valueName: "address:port"))
    var metricsListen: SocketAddress?

    @Option(
        help: ArgumentHelp(
            "Write time, source, port and answered of every connection there, as CSV.",
            valueName: "file"))
    var record: String?

    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Access") var access: AccessOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    mutating func run() throws {
        var configuration = ExternalTargetConfiguration(allowed: allowedCidr)
        configuration.listen = SocketAddress(listenAddress, port: listenPort)
        configuration.keepsOpen = keepOpen
        configuration.metricsListen = metricsListen
        configuration.allowFrom = access.allowFrom
        configuration.recordPath = record
        EventLoop.raiseDescriptorLimit()
        var target: ExternalTargetService?
        try runService(service) { [configuration, security] loop, logger in
            let service = ExternalTargetService(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
            target = service
            return service
        }
        if let target { try StandardStream.output.printLine(target.summary) }
    }
}
