import HTTP
import HTTPCodec
import Pacing
import Reactor

/// A client pod that does what the test wants of it, on an address of its own in 127.0.0.0/8.
final class FakeClient {
    enum Behaviour {
        /// Takes its list and has these results.
        case healthy(results: String)
        /// Answers everything with this status.
        case status(Int)
        /// Accepts connections and never answers.
        case silent
        /// Answers with what is no HTTP.
        case garbage
        /// Nobody listens.
        case refused
    }

    let address: SocketAddress
    var behaviour: Behaviour
    /// The lists that it got.
    private(set) var lists: [String] = []
    /// What it was asked for, such as `GET /results`.
    private(set) var requests: [String] = []
    /// Of the silent kind: connections made, and those given up by their peer.
    private(set) var accepted = 0
    private(set) var abandoned = 0
    private var server: HTTPServer?
    private var listener: TCPListener?
    private var connections: [TCPConnection] = []

    init(loop: EventLoop, number: Int, _ behaviour: Behaviour) throws {
        self.behaviour = behaviour
        let wanted = SocketAddress(IPAddress(v4: 0x7F00_0100 + UInt32(number)), port: 0)
        switch behaviour {
        case .healthy, .status:
            weak var client: FakeClient?
            let server = HTTPServer(loop: loop) { client?.answer($0, $1) }
            address = try server.listen(on: wanted)
            self.server = server
            client = self
        case .silent, .garbage:
            weak var client: FakeClient?
            let listener = try TCPListener(loop: loop, address: wanted) { client?.accept($0) }
            address = listener.localAddress
            self.listener = listener
            client = self
        case .refused:
            // In a block of its own, where no other test listens on the port that is given back.
            let wanted = SocketAddress(IPAddress(v4: 0x7F00_0200 + UInt32(number)), port: 0)
            let listener = try TCPListener(loop: loop, address: wanted) { $0.close() }
            address = listener.localAddress
            listener.close()
        }
    }

    func close() {
        server?.close()
        listener?.close()
        for connection in connections { connection.close() }
    }

    private func answer(_ request: HTTPServerRequest, _ responder: HTTPResponder) {
        requests.append("\(request.methodString) \(request.path)")
        switch (behaviour, request.path) {
        case (.status(let status), _): responder.respond(status: status, body: "as told\n")
        case (.healthy, "/check") where request.method == .post:
            lists.append(String(decoding: request.body, as: UTF8.self))
            responder.respond(status: 200, body: "Check Request received, processing...\n")
        case (.healthy(let results), "/results") where request.method == .get:
            responder.respond(
                status: 200, contentType: "application/json", body: Array(results.utf8))
        default: responder.respond(status: 404)
        }
    }

    private func accept(_ connection: TCPConnection) {
        accepted += 1
        connections.append(connection)
        connection.onRead = { [weak self] connection, _ in
            if case .garbage = self?.behaviour { connection.write(Array("\u{7}\r\n\r\n".utf8)) }
        }
        connection.onEnd = { [weak self] connection, _ in
            self?.abandoned += 1
            connection.close()
        }
        connection.resumeReading()
    }
}
