import HTTP
import Reactor
import TLS

extension HTTPServer {
    /// Listens with TLS on one more address; port 0 lets the kernel choose.
    ///
    /// Connections whose handshake is under way are among the `maximumConnections`, and are broken
    /// off when the server drains or closes.
    ///
    /// - Parameters:
    ///   - endpoint: keys and rules of all connections; closed by its owner.
    ///   - handshakeLimit: with so many handshakes under way it stops accepting: further peers wait
    ///     in the kernel's backlog.
    ///   - onHandshake: told of each handshake that has ended, well or not.
    /// - Throws: ``UVError`` with the address: in use, not of this machine, not permitted.
    @discardableResult
    public func listen(
        on address: SocketAddress, securedBy endpoint: TLSEndpoint, handshakeLimit: Int = 1024,
        onHandshake: @escaping (TLSHandshake) -> Void = { _ in }
    ) throws(UVError) -> TLSListener {
        let listener = TLSListener(
            server: self, endpoint: endpoint, handshakeLimit: handshakeLimit,
            onHandshake: onHandshake)
        try listener.listen(on: address)
        attach(listener)
        return listener
    }
}

/// What became of a handshake with a client.
public struct TLSHandshake {
    /// Who asked for it; nil where that is not known any more.
    public let peer: SocketAddress?
    /// What was agreed on, or why nothing was.
    public let result: Result<TLSSession, TLSError>
}

/// Makes TLS connections of those that come, and hands them to a server.
///
/// It holds the server until it is closed, which the server does that it is attached to.
public final class TLSListener: HTTPListening {
    private let server: HTTPServer
    private let endpoint: TLSEndpoint
    private let handshakeLimit: Int
    private var onHandshake: ((TLSHandshake) -> Void)?
    private var listener: TCPListener?
    /// Those under way, at the index that their tag says.
    private var handshakes: [any ByteStream] = []
    private var isPaused = false
    private var isHeld = false
    private var isClosed = false

    /// How many handshakes are under way.
    public var handshakeCount: Int { handshakes.count }

    /// One that listens on nothing, for streams that ``accept(_:)`` is given; see
    /// ``HTTPServer/listen(on:securedBy:handshakeLimit:onHandshake:)``.
    public init(
        server: HTTPServer, endpoint: TLSEndpoint, handshakeLimit: Int = 1024,
        onHandshake: @escaping (TLSHandshake) -> Void = { _ in }
    ) {
        self.server = server
        self.endpoint = endpoint
        self.handshakeLimit = handshakeLimit
        self.onHandshake = onHandshake
    }

    func listen(on address: SocketAddress) throws(UVError) {
        let configuration = server.configuration
        listener = try TCPListener(
            loop: server.loop, address: address, backlog: configuration.backlog,
            reusePort: configuration.reusesPort
        ) { [self] in accept($0) }  // until it closes
    }

    /// Shakes hands on a stream that is open and read by nobody, and has it served.
    public func accept<Lower: ByteStream>(_ stream: Lower) where Lower.Failure: Equatable {
        if isClosed { return stream.abort() }
        let peer = stream.peerAddress
        do throws(TLSError) {
            let connection = try TLSConnection(over: stream, endpoint: endpoint, peer: "the client")
            { [self] in ended($0, $1, peer) }
            connection.tag = handshakes.count
            handshakes.append(connection)
            server.preparingCount += 1
            settle()
        } catch {
            stream.abort()
            onHandshake?(TLSHandshake(peer: peer, result: .failure(error)))
        }
    }

    private func ended<Lower>(
        _ connection: TLSConnection<Lower>,
        _ result: Result<TLSSession, TLSFailure<Lower.Failure>>, _ peer: SocketAddress?
    ) {
        forget(at: connection.tag)
        if case .success = result { server.serve(connection) }
        let result = result.mapError { failure in
            switch failure {
            case .tls(let error): error
            case .transport(let error): TLSError(.connectionLost, error.description)
            }
        }
        onHandshake?(TLSHandshake(peer: peer, result: result))
        settle()
    }

    private func forget(at index: Int) {
        let last = handshakes.removeLast()
        if index < handshakes.count {
            handshakes[index] = last
            last.tag = index
        }
        server.preparingCount -= 1
    }

    // MARK: - HTTPListening

    /// Where it listens; nil for one that is given its streams.
    public var boundAddress: SocketAddress? { listener?.localAddress }

    /// Leaves new peers in the kernel's backlog; handshakes under way go on.
    public func pause() {
        isPaused = true
        settle()
    }

    /// Accepts again, unless too many handshakes are under way.
    public func resume() {
        isPaused = false
        settle()
    }

    /// Stops listening, and breaks off the handshakes under way. Idempotent.
    public func close() {
        isClosed = true
        listener?.close()
        onHandshake = nil
        for handshake in handshakes { handshake.abort() }
        server.preparingCount -= handshakes.count
        handshakes = []
    }

    private func settle() {
        let isHeld = isPaused || handshakes.count >= handshakeLimit
        guard isHeld != self.isHeld, !isClosed else { return }
        self.isHeld = isHeld
        if isHeld { listener?.pause() } else { listener?.resume() }
    }
}

@available(*, unavailable)
extension TLSListener: Sendable {}
