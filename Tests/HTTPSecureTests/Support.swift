import HTTPSecure
import Pacing
import Reactor
import TLS
@_exported import TestSupport
import Testing

typealias Secured = TLSConnection<TCPConnection>

/// Answers every request with `hello` over TLS, and closes.
final class SecureServer {
    let endpoint: TLSEndpoint
    private(set) var listener: TCPListener!
    private(set) var sessions: [TLSSession] = []
    private(set) var requestCount = 0
    private(set) var failures: [String] = []
    /// How connections ended after their handshake: nil where the peer said so.
    private(set) var ends: [String?] = []
    /// Closes without a close alert.
    var isRude = false

    init(loop: EventLoop, _ context: TLSContext) throws {
        endpoint = TLSEndpoint(loop: loop, context: context)
        listener = try TCPListener(loop: loop, address: anyPort) { [self] in accept($0) }
    }

    var port: UInt16 { listener.localAddress.port }

    private func accept(_ connection: TCPConnection) {
        let secured = try? Secured(over: connection, endpoint: endpoint, peer: "the client") {
            [self] connection, result in
            switch result {
            case .failure(let error): failures.append("\(error)")
            case .success(let session):
                sessions.append(session)
                serve(connection)
            }
        }
        if secured == nil { connection.close() }
    }

    private func serve(_ connection: Secured) {
        var request = ""
        connection.onRead = { [self] connection, bytes in
            request += String(decoding: bytes, as: UTF8.self)
            guard request.hasSuffix("\r\n\r\n") else { return }
            requestCount += 1
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n"
            connection.write(Array((head + "hello\n").utf8))
            if isRude {
                connection.lower.closeAfterWriting()
            } else {
                connection.closeAfterWriting()
            }
        }
        connection.onEnd = { [self] connection, error in
            ends.append(error?.description)
            connection.close()
        }
        connection.resumeReading()
    }

    func close() {
        listener.close()
        endpoint.close()
    }
}

/// What a client of ours met.
struct Visit {
    var session: TLSSession?
    var failure: String?
    var text = ""
    /// Nil where the peer said that it closed.
    var end: String?
}

/// Asks `https://localhost:port/` once.
func visit(
    _ endpoint: TLSEndpoint, port: UInt16, name: String = "localhost",
    then: @escaping (Visit) -> Void
) {
    let connection = TCPConnection(loop: endpoint.loop)
    var visit = Visit()
    connection.connect(to: SocketAddress(.loopbackV4, port: port)) { connection, result in
        if case .failure(let error) = result {
            visit.failure = "\(error)"
            return then(visit)
        }
        do {
            _ = try Secured(
                over: connection, endpoint: endpoint, peer: "\(name):\(port)", serverName: name
            ) { connection, result in
                switch result {
                case .failure(let error):
                    visit.failure = "\(error)"
                    then(visit)
                case .success(let session):
                    visit.session = session
                    connection.onRead = {
                        visit.text += String(decoding: $1, as: UTF8.self)
                    }
                    connection.onEnd = { connection, error in
                        visit.end = error?.description
                        connection.close()
                        then(visit)
                    }
                    connection.resumeReading()
                    connection.write(Array("GET / HTTP/1.0\r\nHost: \(name)\r\n\r\n".utf8))
                }
            }
        } catch {
            connection.close()
            visit.failure = "\(error)"
            then(visit)
        }
    }
}
