import ArgumentParser

struct EgressGatewayCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "egw",
        abstract: "Measure how long an egress gateway takes to masquerade, and what it carries.",
        discussion: """
            The client connects to the external target again and again; the target answers only \
            sources within its allowed blocks, so the first answer marks the moment at which \
            traffic leaves through the gateway.
            """,
        subcommands: [EgressClientCommand.self, ExternalTargetCommand.self])

    /// Go's flags may be written --stress=true; this parser's may not.
    static func translate(_ arguments: [String]) -> [String] {
        arguments.compactMap { argument in
            switch argument {
            case "--stress=true", "--stress=1", "--stress=t": "--stress"
            case "--stress=false", "--stress=0", "--stress=f": nil
            default: argument
            }
        }
    }
}
