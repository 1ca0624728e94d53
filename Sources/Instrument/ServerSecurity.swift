import HTTP
import HTTPSecure
import Logging
import Reactor
import TLS
import Telemetry

/// TLS on all that a role serves by HTTP: one certificate, which is read again when it changes.
///
/// Given to the role's ``ControlPoint``, which closes it.
public final class ServerSecurity {
    private let endpoint: TLSEndpoint
    private let reloader: TLSReloader
    private let logger: Logger
    private var established = 0
    private var failed: [TLSError.Kind: Int] = [:]

    /// - Parameters:
    ///   - clientAuthorities: a PEM file; every client then has to show a certificate of theirs.
    /// - Throws: ``TLSError`` with the file that cannot be used.
    public init(
        loop: EventLoop, logger: Logger, identity: TLSConfiguration.Identity,
        clientAuthorities: String?
    ) throws(TLSError) {
        var configuration = TLSConfiguration.server(
            identity: identity, clients: clientAuthorities.map { .file($0) } ?? .unverified)
        configuration.protocols = ["http/1.1"]
        let context = try TLSContext(configuration)
        endpoint = TLSEndpoint(loop: loop, context: context)
        self.logger = logger
        reloader = TLSReloader(loop: loop, context: context) { error in
            if let error {
                logger.error("Went on with the old certificate: \(error)")
            } else {
                logger.info("Read the certificate in \(identity.chainFile) again")
            }
        }
    }

    func listen(_ server: HTTPServer, on address: SocketAddress) throws(UVError) -> SocketAddress {
        let listener = try server.listen(on: address, securedBy: endpoint) { [unowned self] in
            ended($0)
        }
        return listener.boundAddress ?? address
    }

    private func ended(_ handshake: TLSHandshake) {
        switch handshake.result {
        case .success: established += 1
        case .failure(let error):
            failed[error.kind, default: 0] += 1
            let count = failed.values.reduce(0, +)
            guard logger.logLevel <= .debug || LogLineLimit.isPrinted(occurrence: count) else {
                return
            }
            let peer = handshake.peer.map { "\($0)" } ?? "a source that has gone"
            logger.warning("TLS handshake with \(peer) failed: \(error) (\(count) so far)")
        }
    }

    func writeMetrics(role: String, to text: inout PrometheusText) {
        text.family(
            "sonde_tls_handshakes_total", .counter, help: "TLS handshakes with clients by result.")
        text.sample(established, [("role", role), ("result", "established")])
        for (kind, count) in failed.sorted(by: { $0.key.name < $1.key.name }) {
            text.sample(count, [("role", role), ("result", kind.name)])
        }
    }

    func close() {
        reloader.close()
        endpoint.close()
    }
}

@available(*, unavailable)
extension ServerSecurity: Sendable {}
