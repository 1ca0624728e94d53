import ArgumentParser

struct NetworkPolicyProxyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "proxy")
}
