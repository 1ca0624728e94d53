import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// Everything that a client waits for, in no time.
@Suite struct ClientTimeTests {
    private let empty = "HTTP/1.1 204 No Content\r\n\r\n"

    private func server(_ loop: EventLoop) -> HTTPServer {
        HTTPServer(loop: loop) { $1.respond(status: 204) }
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
            try withVirtualClient(configuration) { loop, client, network in
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
                client.send(makeRequest(host), completion: note)
                // Waits for the only connection: that is nobody else's doing.
                var options = HTTPRequestOptions()
                options.timeout = .seconds(2)
                client.send(makeRequest(host), options: options, completion: note)
                loop.advance(by: .seconds(60))
                #expect(ends.map(\.0) == [.seconds(2), .seconds(5)])
                #expect(ends.map(\.1) == [.local, fault])
                #expect(client.connectionCount == 0)
            }
        }
    }

    @Test("a head is handed out at once, though its content never comes")
    func headOnly() throws {
        try withVirtualClient { loop, client, network in
            network.hosts["10.0.0.1"] = .script { "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" }
            var heads: [Int] = []
            var failure: HTTPError?
            client.stream(
                makeRequest("10.0.0.1"), onHead: { heads.append($0.status) },
                onSlice: { _ in Issue.record("content") },
                completion: { if case .failure(let error) = $0 { failure = error } })
            loop.advance(by: .milliseconds(1))
            #expect(heads == [200] && failure == nil)
            loop.advance(by: .seconds(30))
            #expect(failure == HTTPError(.timedOut, fault: .remote))
        }
    }

    @Test("a call ends only after the news of before its deadline, however late the loop is")
    func newsBeforeTime() throws {
        try withVirtualClient { loop, client, network in
            network.hosts["10.0.0.1"] = .script { "" }
            var ended: [String] = []
            for (name, seconds) in [("early", 2), ("late", 4), ("last", 6)] as [(String, Int64)] {
                var options = HTTPRequestOptions()
                options.timeout = .seconds(seconds)
                client.send(makeRequest("10.0.0.1"), options: options) { result in
                    ended.append((try? result.get()) == nil ? "\(name) timed out" : name)
                }
            }
            loop.advance(by: .seconds(1))
            #expect(network.ends.count == 3)
            // News of the moment at which the first call ends keeps the process from its work
            // until after the second one's; that one's answer is on its way meanwhile.
            let (own, other) = MemoryStream.pair(on: loop, path: delay(of: .seconds(1)))
            other.onRead = { _, _ in loop.stall(for: .seconds(3)) }
            other.resumeReading()
            own.write([1])
            let answer = network.ends[1]
            answer.outgoing = delay(of: .seconds(2))
            answer.write(Array(empty.utf8))
            loop.advance(by: .seconds(1))
            #expect(ended == ["early timed out", "late"])
            loop.advance(by: .seconds(10))
            #expect(ended == ["early timed out", "late", "last timed out"])
            own.close()
            other.close()
        }
    }

    private func delay(of duration: Duration) -> MemoryStream.Path {
        var path = MemoryStream.Path()
        path.latency = duration...duration
        return path
    }

    @Test("calls end in the order of their moments, not of their start")
    func order() throws {
        try withVirtualClient { loop, client, network in
            network.hosts["10.0.0.1"] = .script { "" }
            var ended: [Int64] = []
            for seconds in [6, 2, 4] as [Int64] {
                var options = HTTPRequestOptions()
                options.timeout = .seconds(seconds)
                client.send(makeRequest("10.0.0.1"), options: options) { _ in ended.append(seconds)
                }
            }
            loop.advance(by: .seconds(10))
            #expect(ended == [2, 4, 6])
        }
    }

    // MARK: - Kept connections

    @Test("a kept connection that ends as it is used again is replaced, once, and not for POST")
    func stale() throws {
        for (method, isRepeated) in [(HTTPRequest.Method.get, true), (.post, false)] {
            try withVirtualClient { loop, client, network in
                // Each connection answers once.
                var answers = 0
                network.hosts["10.0.0.1"] = .script { [empty] in
                    answers += 1
                    return answers == 2 ? nil : empty
                }
                var results: [Result<HTTPClientResponse, HTTPError>] = []
                client.send(makeRequest("10.0.0.1")) { results.append($0) }
                loop.advance(by: .seconds(1))
                #expect(client.idleConnectionCount == 1)
                client.send(makeRequest("10.0.0.1", method)) { results.append($0) }
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

    @Test("a request that meets two such connections is not sent a third time")
    func staleTwice() throws {
        try withVirtualClient { loop, client, network in
            var requests = 0
            network.hosts["10.0.0.1"] = .script { [empty] in
                requests += 1
                return requests > 3 ? nil : empty
            }
            var results: [Result<HTTPClientResponse, HTTPError>] = []
            for _ in 0..<3 { client.send(makeRequest("10.0.0.1")) { results.append($0) } }
            loop.advance(by: .seconds(1))
            #expect(results.count == 3 && client.idleConnectionCount == 3)
            client.send(makeRequest("10.0.0.1")) { results.append($0) }
            loop.advance(by: .seconds(1))
            guard results.count == 4, case .failure(let error) = results[3] else {
                Issue.record("answered by nobody")
                return
            }
            #expect(error == HTTPError(.connectionLost(nil), fault: .remote))
            #expect(requests == 5 && network.dialed.count == 3)
        }
    }

    @Test("a request that is repeated and then finds no connection blames nobody else")
    func repeatedInQueue() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnections = 1
        configuration.timeout = .seconds(300)
        try withVirtualClient(configuration) { loop, client, network in
            var answers = 0
            network.hosts["10.0.0.1"] = .script { [empty] in
                answers += 1
                return answers == 1 ? empty : answers == 2 ? nil : ""
            }
            var fault: HTTPError.Fault?
            client.send(makeRequest("10.0.0.1")) { _ in }
            loop.advance(by: .seconds(1))
            var options = HTTPRequestOptions()
            options.timeout = .seconds(3)
            client.send(makeRequest("10.0.0.1"), options: options) {
                if case .failure(let error) = $0 { fault = error.fault }
            }
            // In the line before the one that comes back to it, and never answered.
            client.send(makeRequest("10.0.0.1")) { _ in }
            loop.advance(by: .seconds(10))
            #expect(fault == .local && network.dialed.count == 2)
        }
    }

    @Test("an idle connection is closed after its time; one that its server closes is not used")
    func idle() throws {
        try withVirtualClient { loop, client, network in
            let server = server(loop)
            network.hosts["10.0.0.1"] = .answers(server, after: .zero)
            client.send(makeRequest("10.0.0.1")) { _ in }
            loop.settle()
            loop.advance(by: .milliseconds(29_999))
            #expect(client.idleConnectionCount == 1)
            loop.advance(by: .milliseconds(1))
            #expect(client.idleConnectionCount == 0 && client.connectionCount == 0)
            client.send(makeRequest("10.0.0.1")) { _ in }
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
            try withVirtualClient { loop, client, network in
                network.hosts["10.0.0.1"] = .script {
                    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
                }
                let call = client.send(makeRequest(host)) { _ in Issue.record("completed") }
                loop.advance(by: wait)
                call?.cancel()
                #expect(call?.isDone == true && client.connectionCount == 0)
                call?.cancel()
                loop.advance(by: .seconds(60))
            }
        }
    }
}
