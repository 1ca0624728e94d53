import HTTP
import HTTPSecure
import Pacing
import Reactor
import TLS
import Testing

/// An HTTP server whose clients come over TLS.
@Suite(.serialized) struct ListenTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    /// A server that says `hello`, and what was told about its handshakes.
    private final class Serving {
        let endpoint: TLSEndpoint
        let server: HTTPServer
        private(set) var told: [TLSHandshake] = []
        var onRequest: (HTTPResponder) -> Void = { $0.respond(status: 200, body: "hello\n") }

        init(
            _ loop: EventLoop, _ context: TLSContext,
            _ configuration: HTTPServerConfiguration = HTTPServerConfiguration()
        ) {
            endpoint = TLSEndpoint(loop: loop, context: context)
            var onRequest: (HTTPResponder) -> Void = { _ in }
            server = HTTPServer(loop: loop, configuration: configuration) { onRequest($1) }
            onRequest = { [unowned self] in self.onRequest($0) }
        }

        var failures: [TLSError] {
            told.compactMap { if case .failure(let error) = $0.result { error } else { nil } }
        }
        var sessions: [TLSSession] { told.compactMap { try? $0.result.get() } }

        func listen(handshakeLimit: Int = 1024) throws -> TLSListener {
            try server.listen(
                on: anyPort, securedBy: endpoint, handshakeLimit: handshakeLimit
            ) { [unowned self] in told.append($0) }
        }

        /// One that listens on nothing, for streams in memory.
        func listener(handshakeLimit: Int = 1024) -> TLSListener {
            let listener = TLSListener(
                server: server, endpoint: endpoint, handshakeLimit: handshakeLimit
            ) { [unowned self] in told.append($0) }
            server.attach(listener)
            return listener
        }

        func close() {
            server.close()
            endpoint.close()
        }
    }

    // MARK: - In memory

    @Test func `A handshake that takes too long is ended and told`() throws {
        try withVirtualLoop { loop in
            let serving = Serving(loop, try certificates.server())
            let listener = serving.listener()
            let (near, far) = MemoryStream.pair(on: loop)
            near.peerAddress = SocketAddress("192.0.2.1:7")
            listener.accept(near)
            #expect(listener.handshakeCount == 1 && serving.server.preparingCount == 1)
            loop.advance(by: .seconds(10) - .nanoseconds(1))
            #expect(serving.told.isEmpty)
            loop.advance(by: .nanoseconds(1))
            #expect(serving.failures.map(\.kind) == [.timedOut])
            #expect(serving.told.first?.peer == SocketAddress("192.0.2.1:7"))
            #expect(listener.handshakeCount == 0 && serving.server.preparingCount == 0)
            #expect(serving.server.connectionCount == 0)
            far.close()
            serving.close()
        }
    }

    @Test func `Drain and close break handshakes off, and take no more`() throws {
        for drains in [true, false] {
            try withVirtualLoop { loop in
                let serving = Serving(loop, try certificates.server())
                let listener = serving.listener()
                let pairs = (0..<4).map { _ in MemoryStream.pair(on: loop) }
                for (near, _) in pairs.dropLast() { listener.accept(near) }
                var isDrained = false
                if drains {
                    serving.server.drain(grace: .seconds(5)) { isDrained = true }
                } else {
                    serving.server.close()
                }
                listener.accept(pairs[3].0)
                loop.advance(by: .zero)
                #expect(pairs.allSatisfy { !$0.0.isOpen })
                #expect(isDrained == drains)
                #expect(listener.handshakeCount == 0 && serving.server.preparingCount == 0)
                // Nobody is to blame.
                #expect(serving.told.isEmpty)
                for (_, far) in pairs { far.close() }
                serving.close()
            }
        }
    }

    @Test func `A client that goes in its handshake is told as a lost connection`() throws {
        try withVirtualLoop { loop in
            let serving = Serving(loop, try certificates.server())
            let listener = serving.listener()
            let (near, far) = MemoryStream.pair(on: loop)
            listener.accept(near)
            far.abort()
            loop.advance(by: .seconds(1))
            #expect(serving.failures.map(\.kind) == [.connectionLost])
            serving.close()
        }
    }

    @Test func `Garbage of any kind fails, and leaves the server as it was`() throws {
        try withVirtualLoop { loop in
            let serving = Serving(loop, try certificates.server())
            let listener = serving.listener()
            var random = SeededRandom(seed: 12)
            let garbage: [[UInt8]] =
                [Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), [22, 3, 1, 255, 255], [0]]
                + (0..<200).map { _ in
                    (0..<Int.random(in: 1...600, using: &random)).map { _ in
                        UInt8.random(in: 0...255, using: &random)
                    }
                }
            for bytes in garbage {
                let (near, far) = MemoryStream.pair(on: loop)
                listener.accept(near)
                _ = bytes.withUnsafeBytes { far.write($0) }
                far.endWriting()
                loop.advance(by: .seconds(11))
                #expect(!near.isOpen)
                far.close()
            }
            #expect(serving.failures.count == garbage.count)
            #expect(serving.server.requestCount == 0 && listener.handshakeCount == 0)
            serving.close()
        }
    }

    // MARK: - On loopback

    @Test func `A request is answered, and told to be https`() throws {
        try withLoop { loop in
            let serving = Serving(loop, try certificates.server { $0.protocols = ["http/1.1"] })
            let port = try #require(try serving.listen().boundAddress?.port)
            #expect(serving.server.addresses.map(\.port) == [port])
            let client = TLSEndpoint(
                loop: loop, context: try certificates.client { $0.protocols = ["http/1.1"] })
            visit(client, port: port) { visit in
                #expect(visit.text.hasSuffix("\r\n\r\nhello\n") && visit.end == nil, "\(visit)")
                #expect(serving.sessions.map(\.applicationProtocol) == ["http/1.1"])
                serving.close()
                client.close()
            }
        }
    }

    @Test func `A drain answers what is under way, and says that it closes`() throws {
        try withLoop { loop in
            let serving = Serving(loop, try certificates.server())
            let port = try #require(try serving.listen().boundAddress?.port)
            let client = TLSEndpoint(loop: loop, context: try certificates.client())
            var isDrained = false
            serving.onRequest = { [unowned serving] responder in
                serving.server.drain(grace: .seconds(20)) { isDrained = true }
                loop.enqueue { responder.respond(status: 200, body: "last\n") }
            }
            visit(client, port: port) { visit in
                #expect(visit.text.hasSuffix("\r\n\r\nlast\n"), "\(visit)")
                #expect(visit.text.contains("onnection: close"))
                #expect(visit.end == nil && visit.failure == nil)
                when(loop, { isDrained }) {
                    serving.close()
                    client.close()
                }
            }
        }
    }

    /// Connects so often without a word, and goes on when so many handshakes are under way and the
    /// loop has had its time to begin more.
    private func silentPeers(
        _ loop: EventLoop, _ count: Int, at address: SocketAddress,
        then: @escaping ([TCPConnection]) -> Void
    ) {
        var peers: [TCPConnection] = []
        for _ in 0..<count {
            let peer = TCPConnection(loop: loop)
            peer.connect(to: address) { peer, _ in
                peers.append(peer)
                if peers.count == count { then(peers) }
            }
        }
    }

    @Test(arguments: [(2, 50_000), (1024, 2)])
    func `No more handshakes than allowed, by the listener or the server, are under way`(
        handshakes: Int, connections: Int
    ) throws {
        try withLoop { loop in
            var configuration = HTTPServerConfiguration()
            configuration.maximumConnections = connections
            let serving = Serving(loop, try certificates.server(), configuration)
            let listener = try serving.listen(handshakeLimit: handshakes)
            let address = try #require(listener.boundAddress)
            silentPeers(loop, 5, at: address) { peers in
                when(loop, { listener.handshakeCount == 2 }) {
                    // All five are in the backlog: one more turn would take them all.
                    loop.enqueue {
                        loop.enqueue {
                            #expect(listener.handshakeCount == 2)
                            #expect(serving.server.preparingCount == 2)
                            // As these go, the others come.
                            for peer in peers.prefix(2) { peer.abort() }
                        }
                    }
                    when(loop, { serving.told.count == 2 && listener.handshakeCount == 2 }) {
                        for peer in peers.dropFirst(2) { peer.abort() }
                        when(loop, { serving.told.count == 5 }) {
                            #expect(serving.failures.count == 5)
                            serving.close()
                        }
                    }
                }
            }
        }
    }
}
