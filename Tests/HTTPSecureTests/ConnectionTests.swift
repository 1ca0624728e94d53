import HTTPSecure
import Pacing
import Reactor
import TLS
import Testing

@Suite struct ConnectionTests {
    let certificates: Certificates

    init() throws { certificates = try Certificates.shared() }

    @Test func `Our client and our server, again and again, resume their session`() throws {
        try withLoop { loop in
            let server = try SecureServer(loop: loop, certificates.server())
            let client = TLSEndpoint(loop: loop, context: try certificates.client())
            var visits: [Visit] = []
            func next() {
                visit(client, port: server.port) {
                    visits.append($0)
                    if visits.count < 3 { return next() }
                    #expect(visits.map(\.session?.isResumed) == [false, true, true])
                    #expect(visits.allSatisfy { $0.text.hasSuffix("\r\n\r\nhello\n") })
                    #expect(visits.allSatisfy { $0.end == nil && $0.failure == nil })
                    #expect(server.sessions.map(\.isResumed) == [false, true, true])
                    server.close()
                    client.close()
                }
            }
            next()
        }
    }

    @Test func `An end without a close alert is told from one with it`() throws {
        try withLoop { loop in
            let server = try SecureServer(loop: loop, certificates.server())
            server.isRude = true
            let client = TLSEndpoint(loop: loop, context: try certificates.client())
            visit(client, port: server.port) {
                #expect($0.text.hasSuffix("hello\n"))
                #expect($0.end?.hasSuffix("closed the connection without saying so in TLS") == true)
                server.close()
                client.close()
            }
        }
    }

    @Test func `A wrong host fails on both sides, each with its reason`() throws {
        try withLoop { loop in
            let server = try SecureServer(loop: loop, certificates.server("other"))
            let client = TLSEndpoint(loop: loop, context: try certificates.client())
            visit(client, port: server.port) { visit in
                #expect(
                    visit.failure
                        == "certificate of localhost:\(server.port) is for example.org, "
                        + "www.example.org, 192.0.2.7, not for localhost")
                let refusal = "the client does not accept our certificate (alert: bad certificate)"
                when(loop, { !server.failures.isEmpty || !server.ends.isEmpty }) {
                    #expect(
                        server.failures + server.ends.map { $0 ?? "" }
                            == [refusal])
                    server.close()
                    client.close()
                }
            }
        }
    }

    @Test func `A peer that says nothing is given up`() throws {
        try withLoop { loop in
            let context = try certificates.server { $0.handshakeTimeout = .milliseconds(20) }
            let server = try SecureServer(loop: loop, context)
            let silent = TCPConnection(loop: loop)
            silent.onEnd = { connection, _ in
                connection.close()
                #expect(server.failures.count == 1)
                #expect(
                    server.failures.first?.hasPrefix("no TLS handshake with the client") == true)
                server.close()
            }
            silent.connect(
                to: SocketAddress(.loopbackV4, port: server.port), readsAtOnce: true
            ) { #expect($1.isSuccess) }
        }
    }

    @Test func `Large transfers flow both ways under backpressure`() throws {
        try withLoop { loop in
            let size = 8 << 20
            let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
            let server = TLSEndpoint(loop: loop, context: try certificates.server())
            let client = TLSEndpoint(loop: loop, context: try certificates.client())
            var listener: TCPListener?
            var received: [UInt8] = []
            var backpressured = 0
            // Reads a little, rests a turn, reads on: what comes meanwhile waits.
            func read(_ connection: Secured) {
                connection.onRead = { connection, bytes in
                    received.append(contentsOf: bytes)
                    connection.pauseReading()
                    loop.enqueue { connection.resumeReading() }
                }
                connection.onEnd = { connection, error in
                    #expect(error == nil)
                    connection.close()
                    listener?.close()
                    server.close()
                    client.close()
                }
                connection.resumeReading()
            }
            func send(_ rest: ArraySlice<UInt8>, _ connection: Secured) {
                var rest = rest
                while !rest.isEmpty {
                    let piece = rest.prefix(100_000)
                    rest = rest.dropFirst(100_000)
                    if connection.write(Array(piece)) == .backpressured {
                        backpressured += 1
                        connection.onWritable = { send(rest, $0) }
                        return
                    }
                }
                connection.closeAfterWriting()
            }
            let made = try TCPListener(loop: loop, address: anyPort) { connection in
                _ = try? Secured(over: connection, endpoint: server, peer: "client") {
                    send(payload[...], $0)
                    #expect($1.isSuccess)
                }
            }
            listener = made
            let connection = TCPConnection(loop: loop)
            connection.connect(to: made.localAddress) { connection, _ in
                _ = try? Secured(
                    over: connection, endpoint: client, peer: "server", serverName: "localhost"
                ) { connection, result in
                    #expect(result.isSuccess)
                    read(connection)
                }
            }
            loop.run()
            #expect(received == payload)
            #expect(backpressured > 0)
        }
    }

    @Test func `A connection that nobody keeps goes when it is closed`() throws {
        weak var watched: Secured?
        try withLoop { loop in
            let server = try SecureServer(loop: loop, certificates.server())
            let client = TLSEndpoint(loop: loop, context: try certificates.client())
            let connection = TCPConnection(loop: loop)
            connection.connect(to: SocketAddress(.loopbackV4, port: server.port)) {
                connection, _ in
                let secured = try? Secured(
                    over: connection, endpoint: client, peer: "x", serverName: "localhost"
                ) { connection, _ in
                    connection.onClose = { _ in
                        server.close()
                        client.close()
                    }
                    connection.close()
                    #expect(connection.write([1]) == .closed)
                }
                watched = secured
            }
        }
        #expect(watched == nil)
    }
}

extension Result {
    var isSuccess: Bool { if case .success = self { true } else { false } }
}
