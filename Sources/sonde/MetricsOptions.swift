import ArgumentParser
import Instrument
import Logging
import Reactor

/// The API of a role that has one only when asked for.
struct MetricsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Where /metrics, /status, /healthz and /readyz are served while it runs (default: \
            nowhere).
            """, valueName: "address:port"))
    var metricsListen: SocketAddress?

    @OptionGroup var access: AccessOptions

    func validate() throws {
        if metricsListen == nil, access.allowFrom.isRestricted {
            throw ValidationError("--allow-from: has no meaning without --metrics-listen")
        }
    }

    /// Begins to listen.
    /// - Parameter expose: adds the role's endpoints.
    /// - Returns: what the caller has to drain at its end; nil where nobody asked for it.
    func listen(
        _ loop: EventLoop, _ expose: (ControlPoint) -> Void
    ) throws(UVError) -> ControlPoint? {
        guard let metricsListen else { return nil }
        let logger = Logger(label: "sonde") { _ in GoStyleLog() }
        let control = ControlPoint(loop: loop, logger: logger, allowFrom: access.allowFrom)
        expose(control)
        try control.listen(on: metricsListen)
        return control
    }
}
