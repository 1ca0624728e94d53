import ArgumentParser
import Instrument
import Logging
import Reactor

/// Where a role that has an API only when asked for serves it.
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
}

/// The same for a role whose metrics are all that it serves: by TLS, under names of their own, as
/// its `--cert` is what it shows where it dials.
struct SecuredMetricsOptions: ParsableArguments {
    @OptionGroup var metrics: MetricsOptions
    @OptionGroup var security: TLSMetricsOptions

    func validate() throws {
        if metrics.metricsListen == nil, security.isGiven {
            throw ValidationError("--metrics-cert: has no meaning without --metrics-listen")
        }
    }

    /// Begins to listen.
    /// - Parameter expose: adds the role's endpoints.
    /// - Returns: what the caller has to drain at its end; nil where nobody asked for it.
    /// - Throws: `UVError` with the address, ``Failure`` with the certificate.
    func listen(_ loop: EventLoop, _ expose: (ControlPoint) -> Void) throws -> ControlPoint? {
        guard let address = metrics.metricsListen else { return nil }
        let logger = Logger(label: "sonde") { _ in GoStyleLog() }
        let control = ControlPoint(
            loop: loop, logger: logger, allowFrom: metrics.access.allowFrom,
            security: try security.security(loop, logger))
        expose(control)
        try control.listen(on: address)
        return control
    }
}
