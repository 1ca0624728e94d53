import Pacing
import Reactor

/// Opens streams for a client's requests of one scheme: `http` is built in, whoever adds another
/// decides what it runs over (TLS, a Unix socket, a connection in memory).
public protocol HTTPDialer: AnyObject {
    /// For an authority without a port.
    var defaultPort: UInt16 { get }
    /// Whether names need no look-up: it finds its own way to ``HTTPDialAttempt/host``.
    var dialsByName: Bool { get }
    /// Begins to open a stream to the attempt's address, and tells the attempt how that ended.
    func dial(_ attempt: HTTPDialAttempt)
}

extension HTTPDialer {
    /// Most are told an address.
    public var dialsByName: Bool { false }
}

/// A stream that is wanted: whoever dials says once what became of it.
public final class HTTPDialAttempt {
    /// The loop on which it happens.
    public let loop: EventLoop
    /// Who is meant: the authority's host.
    public let host: String
    /// Which one of his addresses; nil for a dialer that goes by names.
    public let address: SocketAddress?
    /// The authority's port.
    public let port: UInt16
    /// The own address to connect from; nil for any.
    public let source: SocketAddress?
    /// How long it may take.
    public let timeout: Duration
    /// Called when nobody wants the stream any more, before it was there.
    public var onCancel: (() -> Void)?

    private var onOutcome: ((Result<ClientConnection, StreamError>) -> Void)?
    private let client: HTTPClient
    private let origin: Origin

    init(
        _ client: HTTPClient, _ origin: Origin, address: SocketAddress?,
        onOutcome: @escaping (Result<ClientConnection, StreamError>) -> Void
    ) {
        self.client = client
        self.origin = origin
        self.address = address
        self.onOutcome = onOutcome
        loop = client.loop
        host = origin.host
        port = origin.port
        source = origin.source
        timeout = client.configuration.connectTimeout
    }

    /// Here it is: open, not being read, and without callbacks and context of its own. From here
    /// on it belongs to the client.
    public func opened(_ stream: some ByteStream) {
        guard onOutcome != nil else { return stream.close() }
        end(.success(StreamClientConnection(stream, client: client, origin: origin)))
    }

    /// There is none.
    public func failed(_ error: any StreamFailure) {
        // A dialer may know at once, but no request completes before `send` has returned.
        loop.enqueue { [self] in end(.failure(StreamError(error))) }
    }

    func cancel() {
        let onCancel = self.onCancel
        (onOutcome, self.onCancel) = (nil, nil)
        onCancel?()
    }

    private func end(_ outcome: Result<ClientConnection, StreamError>) {
        let onOutcome = self.onOutcome
        (self.onOutcome, onCancel) = (nil, nil)
        onOutcome?(outcome)
    }
}

@available(*, unavailable)
extension HTTPDialAttempt: Sendable {}

/// `http`: TCP and nothing else.
final class TCPDialer: HTTPDialer {
    var defaultPort: UInt16 { 80 }

    func dial(_ attempt: HTTPDialAttempt) {
        guard let address = attempt.address else { return }
        let connection = TCPConnection(loop: attempt.loop)
        attempt.onCancel = { connection.close() }
        connection.connect(to: address, from: attempt.source, deadline: attempt.timeout) {
            switch $1 {
            case .success: attempt.opened($0)
            case .failure(let error): attempt.failed(error)
            }
        }
    }
}
