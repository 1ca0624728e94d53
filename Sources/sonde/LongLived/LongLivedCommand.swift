import ArgumentParser

struct LongLivedCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "longlived",
        abstract: "Hold thousands of connections, and see where their requests end up.",
        discussion: """
            Servers answer late and say who they are; a client keeps connections open with a \
            request in flight on each, and counts by pod. Behind a service that chooses a pod per \
            connection, traffic sticks to pods as long as connections live.
            """,
        subcommands: [LongLivedServerCommand.self, LongLivedClientCommand.self])
}
