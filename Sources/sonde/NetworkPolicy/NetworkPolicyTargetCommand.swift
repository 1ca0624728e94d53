import ArgumentParser
import NetworkPolicy
import Pacing
import Reactor

struct NetworkPolicyTargetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "target",
        abstract: "The target pod: answer every GET with 200 and an empty body.")

    @Option(
        help: ArgumentHelp("Where it listens.", valueName: "address:port"))
    var listen = SocketAddress(.anyV6, port: 8080)

    @OptionGroup(title: "TLS") var security: TLSListenOptions
    @OptionGroup(title: "Service") var service: ServiceOptions

    mutating func run() throws {
        var configuration = TargetConfiguration()
        configuration.listen = listen
        try runService(service) { [configuration, security] loop, logger in
            TargetService(
                loop: loop, configuration: configuration, logger: logger,
                security: try security.security(loop, logger))
        }
    }
}
