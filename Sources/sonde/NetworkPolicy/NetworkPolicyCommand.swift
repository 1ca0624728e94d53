import ArgumentParser

struct NetworkPolicyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "netpol",
        abstract: "Measure how long a network policy takes to become effective.",
        discussion: """
            An orchestrator such as kube-burner posts connection lists to the proxy, which hands \
            each client its own; clients probe their targets until they answer. All roles are \
            drop-in replacements for the pods that kube-burner starts. `sonde netpol demo` shows a \
            whole measurement on this machine.
            """,
        subcommands: [
            NetworkPolicyClientCommand.self, NetworkPolicyProxyCommand.self,
            NetworkPolicyTargetCommand.self, NetworkPolicyDemoCommand.self,
        ])
}
