import Pacing
import Reactor
@_exported import TestSupport
import Testing

@testable import HTTP

/// A peer that speaks bytes, not HTTP: what a server answers is compared as it came.
final class Peer {
    let connection: TCPConnection
    private(set) var received = ""
    private(set) var end: Result<Void, UVError>?
    /// Called after every piece and at the end.
    var onChange: ((Peer) -> Void)?

    /// - Parameter isReading: false leaves what the server sends in the kernel.
    init(
        loop: EventLoop, to address: SocketAddress, isReading: Bool = true,
        onConnect: @escaping (Peer) -> Void
    ) {
        connection = TCPConnection(loop: loop)
        connection.onRead = { [weak self] _, bytes in
            guard let self else { return }
            received += String(decoding: bytes, as: UTF8.self)
            onChange?(self)
        }
        connection.onEnd = { connection, error in
            let peer = self
            connection.close()
            peer.end = error.map { .failure($0) } ?? .success(())
            peer.onChange?(peer)
            peer.onChange = nil
        }
        connection.connect(to: address) { [self] connection, result in
            guard case .success = result else { return }
            if isReading { connection.resumeReading() }
            onConnect(self)
        }
    }

    func send(_ text: String) { connection.write(Array(text.utf8)) }

    func close() {
        onChange = nil
        connection.close()
    }
}

/// Sends `pieces`, one a turn of the loop, then closes the sending side; returns all that came back
/// until the server closed. The server is closed then, and has to be gone.
func converse(
    _ pieces: [String], closesSending: Bool = true,
    configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    _ location: SourceLocation = #_sourceLocation,
    makeServer: (EventLoop, HTTPServerConfiguration) -> HTTPServer
) throws -> String {
    var answer = ""
    weak var watched: HTTPServer?
    try withLoop(location) { loop in
        let server = makeServer(loop, configuration)
        watched = server
        let address = try server.listen(on: anyPort)
        let peer = Peer(loop: loop, to: address) { peer in
            send(pieces[...], over: peer, closesSending: closesSending)
        }
        peer.onChange = { peer in
            guard peer.end != nil else { return }
            answer = peer.received
            server.close()
        }
    }
    #expect(watched == nil, "the server is still held", sourceLocation: location)
    return answer
}

private func send(_ pieces: ArraySlice<String>, over peer: Peer, closesSending: Bool) {
    guard let first = pieces.first else {
        if closesSending { peer.connection.endWriting() }
        return
    }
    peer.send(first)
    // Two turns, so that the server reads the pieces one by one.
    peer.connection.loop.enqueue {
        peer.connection.loop.enqueue {
            send(pieces.dropFirst(), over: peer, closesSending: closesSending)
        }
    }
}

func converse(
    _ pieces: String..., closesSending: Bool = true,
    configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    _ location: SourceLocation = #_sourceLocation, handler: @escaping HTTPServer.Handler
) throws -> String {
    try converse(
        pieces, closesSending: closesSending, configuration: configuration, location
    ) {
        HTTPServer(loop: $0, configuration: $1, handler: handler)
    }
}

extension ServerConnection {
    /// What its TCP connection has not handed to the kernel yet.
    var queuedBytes: Int {
        (self as? StreamServerConnection<TCPConnection>)?.stream.queuedBytes ?? 0
    }
}
