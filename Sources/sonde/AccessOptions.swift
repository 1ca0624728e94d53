import ArgumentParser
import Instrument
import Reactor

/// Who may use a role's API; shared by every role that has one.
struct AccessOptions: ParsableArguments {
    @Option(
        name: .customLong("allow-from"),
        help: ArgumentHelp(
            """
            Answer only requests from these sources, such as 10.0.0.0/8 or fd00::/8; may be \
            repeated (default: answer everyone). Others get 403 and are counted; /healthz and \
            /readyz stay open to all, because kubelets probe from their node's address.
            """, valueName: "cidr"))
    var allowedSources: [CIDR] = []

    @Option(
        help: ArgumentHelp(
            """
            Whether 127.0.0.0/8 and ::1 may, too, though --allow-from does not name them: what \
            kubectl port-forward brings into a pod comes from there (default: true).
            """, valueName: "true|false"))
    var allowFromLoopback: Bool?

    var allowFrom: AccessRule {
        AccessRule(allowed: allowedSources, loopback: allowFromLoopback ?? true)
    }

    func validate() throws {
        if allowFromLoopback != nil, allowedSources.isEmpty {
            throw ValidationError("--allow-from-loopback: has no meaning without --allow-from")
        }
    }
}
