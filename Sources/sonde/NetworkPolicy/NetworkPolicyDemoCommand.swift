import ArgumentParser

struct NetworkPolicyDemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "demo")
}
