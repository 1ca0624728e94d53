import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// A network in memory: what becomes of a dial depends on the address.
private final class Network: HTTPDialer {
    enum Host {
        case answers(HTTPServer, after: Duration)
        /// Bytes instead of a server: what is sent when a request has come; nil closes.
        case script(() -> String?)
        case refuses(after: Duration)
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
        let timer = Timer(loop: attempt.loop) { [self] in conclude(attempt, name) }
        switch hosts[name] {
        case .answers(_, let delay), .refuses(let delay): timer.schedule(after: delay)
        case .script: timer.schedule(after: .zero)
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
        case .refuses: attempt.failed(UVError(operation: "connect", code: -111))
        case .silent, nil: attempt.failed(UVError(operation: "connect", code: -110))
        }
    }

    func forget() {
        for end in ends { end.close() }
        (ends, hosts) = ([], [:])
    }
}

/// Everything that a client waits for, in no time.
@Suite struct ClientTimeTests {
    private let empty = "HTTP/1.1 204 No Content\r\n\r\n"

    /// A client whose names resolve to the addresses in them: `a,b.test` are a and b.
    private func withClient(
        _ configuration: HTTPClientConfiguration = HTTPClientConfiguration(),
        _ body: (EventLoop, HTTPClient, Network) throws -> Void
    ) throws {
        let loop = try EventLoop.virtual()
        let network = Network()
        let client = HTTPClient(
            loop: loop, configuration: configuration, dialers: ["http": network])
        client.resolve = { host, port, loop, completion in
            let addresses = host.split(separator: "_").compactMap { IPAddress(String($0)) }
                .map { SocketAddress($0, port: port) }
            var isWanted = true
            // A look-up of a second, for names that say so.
            let timer = Timer(loop: loop) {
                if isWanted { completion(.success(addresses)) }
                isWanted = false
            }
            timer.schedule(after: host.hasSuffix("_slow") ? .seconds(1) : .zero)
            loop.enqueue {}
            return {
                isWanted = false
                timer.close()
            }
        }
        defer { client.resolve = HTTPClient.lookUp }
        try body(loop, client, network)
        client.close()
        network.forget()
        loop.advance(by: .seconds(3600))
        #expect(client.connectionCount == 0 && client.idleConnectionCount == 0)
    }

    private func request(
        _ host: String, _ method: HTTPRequest.Method = .get
    ) -> HTTPRequest {
        HTTPRequest(method: method, scheme: "http", authority: host, path: "/")
    }

    private func server(_ loop: EventLoop) -> HTTPServer {
        HTTPServer(loop: loop) { $1.respond(status: 204) }
    }

    // MARK: - Connecting

    @Test("a dead first address costs a quarter of a second, and is let go of")
    func deadFirst() throws {
        try withClient { loop, client, network in
            let server = server(loop)
            network.hosts["10.0.0.2"] = .answers(server, after: .milliseconds(20))
            let start = loop.now
            var end: Instant?
            client.send(request("10.0.0.1_10.0.0.2_10.0.0.3")) { result in
                #expect((try? result.get())?.status == 204)
                end = loop.now
            }
            loop.advance(by: .seconds(60))
            #expect(end == start + .milliseconds(270))
            #expect(network.dialed == ["10.0.0.1", "10.0.0.2"])
            #expect(network.cancelled == ["10.0.0.1"])
            server.close()
        }
    }

    @Test("one that refuses costs nothing more; where all fail, the network's reason is told")
    func refusing() throws {
        try withClient { loop, client, network in
            let server = server(loop)
            network.hosts = [
                "10.0.0.1": .refuses(after: .milliseconds(1)),
                "10.0.0.2": .answers(server, after: .milliseconds(1)),
                "10.0.0.4": .refuses(after: .milliseconds(1)),
            ]
            let start = loop.now
            var ends: [Duration] = []
            client.send(request("10.0.0.1_10.0.0.2")) { _ in ends.append(loop.now - start) }
            loop.advance(by: .seconds(1))
            #expect(ends == [.milliseconds(2)])
            var failure: HTTPError?
            client.send(request("10.0.0.1_10.0.0.4")) {
                if case .failure(let error) = $0 { failure = error }
            }
            loop.advance(by: .seconds(1))
            #expect(failure?.description == "connect: connection refused")
            #expect(failure?.fault == .remote && client.connectionCount == 1)
            server.close()
        }
    }

    @Test("an address that never answers is given up after the time to connect")
    func connectTimeout() throws {
        try withClient { loop, client, network in
            let start = loop.now
            var ended: (Duration, HTTPError)?
            client.send(request("10.0.0.1")) { result in
                if case .failure(let error) = result { ended = (loop.now - start, error) }
            }
            loop.advance(by: .seconds(60))
            #expect(ended?.0 == .seconds(10) && ended?.1.statusHint == 504)
        }
    }

    @Test("a scheme that nobody was given for is refused, and the known ones are named")
    func scheme() throws {
        try withClient { loop, client, _ in
            var failure: HTTPError?
            client.send(
                HTTPRequest(method: .get, scheme: "https", authority: "10.0.0.1", path: "/")
            ) { if case .failure(let error) = $0 { failure = error } }
            loop.settle()
            #expect(
                failure?.description
                    == "request cannot be sent: the scheme is https, only http is known here")
        }
    }

    // MARK: - Deadlines of calls

    @Test("a call ends with its time, at whatever stage it is, and blames whoever it waited for")
    func timeouts() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnections = 1
        configuration.timeout = .seconds(5)
        for (host, fault) in [
            ("10.0.0.9_slow", HTTPError.Fault.remote), ("10.0.0.9", .remote), ("10.0.0.1", .remote),
        ] {
            try withClient(configuration) { loop, client, network in
                // It answers the first half only.
                network.hosts["10.0.0.1"] = .script { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" }
                let start = loop.now
                var ends: [(Duration, HTTPError.Fault)] = []
                let note = { (result: Result<HTTPClientResponse, HTTPError>) in
                    guard case .failure(let error) = result else {
                        Issue.record("an answer that was not given")
                        return
                    }
                    #expect(error.reason == .timedOut)
                    ends.append((loop.now - start, error.fault))
                }
                client.send(request(host), completion: note)
                // Waits for the only connection: that is nobody else's doing.
                var options = HTTPRequestOptions()
                options.timeout = .seconds(2)
                client.send(request(host), options: options, completion: note)
                loop.advance(by: .seconds(60))
                #expect(ends.map(\.0) == [.seconds(2), .seconds(5)])
                #expect(ends.map(\.1) == [.local, fault])
                #expect(client.connectionCount == 0)
            }
        }
    }

    @Test("a head is handed out at once, though its content never comes")
    func headOnly() throws {
        try withClient { loop, client, network in
            network.hosts["10.0.0.1"] = .script { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" }
            var heads: [Int] = []
            var failure: HTTPError?
            client.stream(
                request("10.0.0.1"), onHead: { heads.append($0.status) },
                onSlice: { _ in Issue.record("content") },
                completion: { if case .failure(let error) = $0 { failure = error } })
            loop.advance(by: .milliseconds(1))
            #expect(heads == [200] && failure == nil)
            loop.advance(by: .seconds(30))
            #expect(failure == HTTPError(.timedOut, fault: .remote))
        }
    }

    @Test("calls end in the order of their moments, not of their start")
    func order() throws {
        try withClient { loop, client, network in
            network.hosts["10.0.0.1"] = .script { "" }
            var ended: [Int64] = []
            for seconds in [6, 2, 4] as [Int64] {
                var options = HTTPRequestOptions()
                options.timeout = .seconds(seconds)
                client.send(request("10.0.0.1"), options: options) { _ in ended.append(seconds) }
            }
            loop.advance(by: .seconds(10))
            #expect(ended == [2, 4, 6])
        }
    }

    // MARK: - Kept connections

    @Test("a kept connection that ends as it is used again is replaced, once, and not for POST")
    func stale() throws {
        for (method, isRepeated) in [(HTTPRequest.Method.get, true), (.post, false)] {
            try withClient { loop, client, network in
                // Each connection answers once.
                var answers = 0
                network.hosts["10.0.0.1"] = .script { [empty] in
                    answers += 1
                    return answers == 2 ? nil : empty
                }
                var results: [Result<HTTPClientResponse, HTTPError>] = []
                client.send(request("10.0.0.1")) { results.append($0) }
                loop.advance(by: .seconds(1))
                #expect(client.idleConnectionCount == 1)
                client.send(request("10.0.0.1", method)) { results.append($0) }
                loop.advance(by: .seconds(1))
                #expect(results.count == 2 && network.dialed.count == (isRepeated ? 2 : 1))
                switch results[1] {
                case .success(let response):
                    #expect(isRepeated && !response.usedOpenConnection)
                case .failure(let error): #expect(!isRepeated && error.fault == .remote)
                }
            }
        }
    }

    @Test("a request that is repeated and then finds no connection blames nobody else")
    func repeatedInQueue() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnections = 1
        configuration.timeout = .seconds(300)
        try withClient(configuration) { loop, client, network in
            var answers = 0
            network.hosts["10.0.0.1"] = .script { [empty] in
                answers += 1
                return answers == 1 ? empty : answers == 2 ? nil : ""
            }
            var fault: HTTPError.Fault?
            client.send(request("10.0.0.1")) { _ in }
            loop.advance(by: .seconds(1))
            var options = HTTPRequestOptions()
            options.timeout = .seconds(3)
            client.send(request("10.0.0.1"), options: options) {
                if case .failure(let error) = $0 { fault = error.fault }
            }
            // In the line before the one that comes back to it, and never answered.
            client.send(request("10.0.0.1")) { _ in }
            loop.advance(by: .seconds(10))
            #expect(fault == .local && network.dialed.count == 2)
        }
    }

    @Test("an idle connection is closed after its time; one that its server closes is not used")
    func idle() throws {
        try withClient { loop, client, network in
            let server = server(loop)
            network.hosts["10.0.0.1"] = .answers(server, after: .zero)
            client.send(request("10.0.0.1")) { _ in }
            loop.settle()
            loop.advance(by: .milliseconds(29_999))
            #expect(client.idleConnectionCount == 1)
            loop.advance(by: .milliseconds(1))
            #expect(client.idleConnectionCount == 0 && client.connectionCount == 0)
            client.send(request("10.0.0.1")) { _ in }
            loop.advance(by: .seconds(1))
            #expect(client.idleConnectionCount == 1)
            server.close()
            loop.advance(by: .seconds(1))
            #expect(client.idleConnectionCount == 0 && client.connectionCount == 0)
        }
    }

    // MARK: - Withdrawn

    @Test("a call that is cancelled never completes, at whatever stage, and leaves nothing open")
    func cancelling() throws {
        for (host, wait) in [
            ("10.0.0.9_slow", Duration.milliseconds(500)), ("10.0.0.9", .seconds(1)),
            ("10.0.0.1", .seconds(1)), ("10.0.0.1", .zero),
        ] {
            try withClient { loop, client, network in
                network.hosts["10.0.0.1"] = .script {
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                }
                let call = client.send(request(host)) { _ in Issue.record("completed") }
                loop.advance(by: wait)
                call?.cancel()
                #expect(call?.isDone == true && client.connectionCount == 0)
                call?.cancel()
                loop.advance(by: .seconds(60))
            }
        }
    }
}
