import HTTP
import Reactor
import TLS

/// `https` for an `HTTPClient`: TLS over TCP, with the name that the request asks for.
///
///     let client = HTTPClient(loop: loop, dialers: ["https": TLSDialer(endpoint)])
///
/// Sessions are resumed as the endpoint's context has it; a connection counts as made when both
/// sides are sure of each other.
public final class TLSDialer: HTTPDialer {
    private let endpoint: TLSEndpoint
    private let serverName: String?

    /// - Parameters:
    ///   - endpoint: keys and rules of all connections; closed by its owner.
    ///   - serverName: asked for and verified instead of the request's host.
    public init(_ endpoint: TLSEndpoint, serverName: String? = nil) {
        self.endpoint = endpoint
        self.serverName = serverName
    }

    /// See `HTTPDialer`.
    public var defaultPort: UInt16 { 443 }

    /// See `HTTPDialer`.
    public func dial(_ attempt: HTTPDialAttempt) {
        guard let address = attempt.address else { return }
        let connection = TCPConnection(loop: attempt.loop)
        attempt.onCancel = { connection.close() }
        connection.connect(to: address, from: attempt.source, deadline: attempt.timeout) {
            [self] connection, result in
            switch result {
            case .success: secure(connection, attempt)
            case .failure(let error): attempt.failed(error)
            }
        }
    }

    private func secure(_ connection: TCPConnection, _ attempt: HTTPDialAttempt) {
        let host = attempt.host.contains(":") ? "[\(attempt.host)]" : attempt.host
        do throws(TLSError) {
            let stream = try TLSConnection(
                over: connection, endpoint: endpoint, peer: "\(host):\(attempt.port)",
                serverName: serverName ?? attempt.host
            ) { stream, result in
                switch result {
                case .success: attempt.opened(stream)
                case .failure(let error): attempt.failed(error)
                }
            }
            attempt.onCancel = { stream.close() }
        } catch {
            connection.close()
            attempt.failed(TLSFailure<UVError>.tls(error))
        }
    }
}

@available(*, unavailable)
extension TLSDialer: Sendable {}
