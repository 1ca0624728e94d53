import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// A network in memory: what becomes of a dial depends on the address.
final class VirtualNetwork: HTTPDialer {
    enum Host {
        case answers(HTTPServer, after: Duration)
        /// Bytes instead of a server: what is sent when a request has come; nil closes.
        case script(() -> String?)
        case refuses(after: Duration)
        /// At once, inside the call that asks for it; the code is errno's, negated.
        case fails(Int32)
        case silent
    }

    var defaultPort: UInt16 { 80 }
    var hosts: [String: Host] = [:]
    private(set) var dialed: [String] = []
    private(set) var cancelled: [String] = []
    private(set) var ends: [MemoryStream] = []

    func dial(_ attempt: HTTPDialAttempt) {
        let name = attempt.address?.ipAddress.description ?? ""
        dialed.append(name)
        if case .fails(let code) = hosts[name] {
            return attempt.failed(UVError(operation: "connect", code: code))
        }
        let timer = Timer(loop: attempt.loop) { [self] in conclude(attempt, name) }
        switch hosts[name] {
        case .answers(_, let delay), .refuses(let delay): timer.schedule(after: delay)
        case .script, .fails: timer.schedule(after: .zero)
        case .silent, nil: timer.schedule(after: attempt.timeout)
        }
        attempt.onCancel = { [self] in
            cancelled.append(name)
            timer.close()
        }
        timers[ObjectIdentifier(attempt)] = timer
    }

    private var timers: [ObjectIdentifier: Timer] = [:]

    private func conclude(_ attempt: HTTPDialAttempt, _ name: String) {
        timers.removeValue(forKey: ObjectIdentifier(attempt))?.close()
        switch hosts[name] {
        case .answers(let server, _):
            let (own, other) = MemoryStream.pair(on: attempt.loop)
            server.serve(other)
            attempt.opened(own)
        case .script(let next):
            let (own, other) = MemoryStream.pair(on: attempt.loop)
            other.onRead = { stream, _ in
                guard let text = next() else { return stream.close() }
                stream.write(Array(text.utf8))
            }
            other.resumeReading()
            ends.append(other)
            attempt.opened(own)
        case .refuses, .fails: attempt.failed(UVError(operation: "connect", code: -111))
        case .silent, nil: attempt.failed(UVError(operation: "connect", code: -110))
        }
    }

    func forget() {
        for end in ends { end.close() }
        (ends, hosts) = ([], [:])
    }
}

/// Runs a test with a client whose names resolve to the addresses in them: `a,b.test` are a and b.
func withVirtualClient(
    _ configuration: HTTPClientConfiguration = HTTPClientConfiguration(),
    _ body: (EventLoop, HTTPClient, VirtualNetwork) throws -> Void
) throws {
    let loop = try EventLoop.virtual()
    let network = VirtualNetwork()
    let client = HTTPClient(
        loop: loop, configuration: configuration, dialers: ["http": network])
    client.resolve = { host, port, loop, completion in
        let addresses = host.split(separator: "_").compactMap { IPAddress(String($0)) }
            .map { SocketAddress($0, port: port) }
        // A look-up of a second, for names that say so.
        var timer: Timer?
        timer = Timer(loop: loop) {
            timer?.close()
            timer = nil
            completion(.success(addresses))
        }
        timer?.schedule(after: host.hasSuffix("_slow") ? .seconds(1) : .zero)
        return {
            timer?.close()
            timer = nil
        }
    }
    defer { client.resolve = HTTPClient.lookUp }
    try body(loop, client, network)
    client.close()
    network.forget()
    loop.advance(by: .seconds(3600))
    #expect(client.connectionCount == 0 && client.idleConnectionCount == 0)
    #expect(throws: Never.self, "a handle was left open") { try loop.close() }
}

/// A request without content to the host and to nothing in particular of it.
func makeRequest(
    _ host: String, _ method: HTTPRequest.Method = .get
) -> HTTPRequest {
    HTTPRequest(method: method, scheme: "http", authority: host, path: "/")
}
