import ArgumentParser
import Reactor

/// Who may use a role's API; shared by every role that has one.
struct AccessOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Answer only requests from these sources, such as 10.0.0.0/8 or fd00::/8; may be \
            repeated (default: answer everyone). Others get 403 and are counted; /healthz and \
            /readyz stay open to all, because kubelets probe from their node's address.
            """, valueName: "cidr"))
    var allowFrom: [CIDR] = []
}
