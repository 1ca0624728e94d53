import HTTP
import HTTPTypes
import Pacing
import Reactor
import Testing

@Suite(.serialized) struct ClientLimitTests {
    private func request(_ authority: String, path: String = "/") -> HTTPRequest {
        HTTPRequest(method: .get, scheme: "http", authority: authority, path: path)
    }

    @Test("a closed port is an error of the other side, said in words")
    func refused() throws {
        try withLoop { loop in
            let listener = try TCPListener(loop: loop, address: anyPort) { _ in }
            let authority = "\(listener.localAddress)"
            listener.close()
            let client = HTTPClient(loop: loop)
            client.send(request(authority)) { result in
                guard case .failure(let error) = result else {
                    Issue.record("a closed port answered")
                    return
                }
                #expect(error.fault == .remote)
                #expect(error.statusHint == 502)
                #expect("\(error)" == "connect \(authority): connection refused")
                client.close()
            }
        }
    }

    @Test(
        "a request that cannot be sent fails without a connection",
        arguments: [
            HTTPRequest(method: .get, scheme: "https", authority: "127.0.0.1:1", path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: nil, path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: "", path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: "::1", path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: "[127.0.0.1]:1", path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: "u@127.0.0.1:1", path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: "127.0.0.1:0", path: "/"),
            HTTPRequest(method: .get, scheme: "http", authority: "127.0.0.1:1", path: "x"),
            HTTPRequest(method: .get, scheme: "http", authority: "127.0.0.1:1", path: "/a b"),
            HTTPRequest(method: .connect, scheme: nil, authority: "127.0.0.1:1", path: nil),
        ])
    func invalid(request: HTTPRequest) throws {
        var outcomes: [HTTPError] = []
        try withLoop { loop in
            let client = HTTPClient(loop: loop)
            let call = client.send(request) { result in
                if case .failure(let error) = result { outcomes.append(error) }
                #expect(client.connectionCount == 0)
                client.close()
            }
            #expect(call == nil)
            #expect(outcomes.isEmpty, "not before the call has returned")
        }
        #expect(outcomes.count == 1)
        #expect(outcomes.first?.fault == .local)
    }

    @Test("content beyond the limit is refused, whether announced or not")
    func bodyLimit() throws {
        let wires = [
            "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789A",
            "HTTP/1.1 200 OK\r\n\r\n0123456789A",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789A\r\n0\r\n\r\n",
        ]
        for (limit, isTaken) in [(11, true), (10, false)] as [(Int64, Bool)] {
            for wire in wires {
                try withScript([wire]) { client, authority, done in
                    var options = HTTPRequestOptions()
                    options.maximumBodyBytes = limit
                    client.send(request(authority), options: options) { result in
                        let count = (try? result.get())?.body.count
                        #expect(count == (isTaken ? 11 : nil), "\(limit): \(wire)")
                        done()
                    }
                }
            }
        }
    }

    @Test("a cancelled request never completes and closes its connection")
    func cancel() throws {
        var asked = 0
        var ends: [HTTPPeerEnd] = []
        var completions = 0
        try withPair {
            asked += 1
            $1.whenPeerEnds { ends.append($0) }
        } client: { client, authority, done in
            let call = client.send(request(authority)) { _ in completions += 1 }
            when(client.loop, { asked == 1 }) {
                #expect(client.connectionCount == 1 && ends.isEmpty)
                call?.cancel()
                call?.cancel()
                #expect(call?.isDone == true)
                #expect(client.connectionCount == 0)
                when(client.loop, { !ends.isEmpty }, then: done)
            }
        }
        #expect(completions == 0)
        #expect(asked == 1 && ends.first == .halfClosed, "the server saw the close")
    }

    @Test("closing the client fails what is under way, once")
    func closing() throws {
        var errors: [HTTPError] = []
        try withPair { _, _ in
        } client: { client, authority, done in
            for _ in 0..<3 {
                client.send(request(authority)) { result in
                    if case .failure(let error) = result { errors.append(error) }
                }
            }
            client.loop.enqueue {
                done()
                client.send(request(authority)) { result in
                    if case .failure(let error) = result { errors.append(error) }
                }
            }
        }
        #expect(errors == Array(repeating: HTTPError(.closed, fault: .local), count: 4))
    }

    @Test("no more connections than allowed are opened, and every request gets its turn")
    func maximumConnections() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnections = 3
        var completed = 0
        var largest = 0
        try withPair(
            clientConfiguration: configuration,
            server: { _, responder in
                responder.loop.enqueue { responder.respond(status: 204) }
            },
            client: { client, authority, done in
                for _ in 0..<20 {
                    client.send(request(authority)) { result in
                        #expect((try? result.get())?.status == 204)
                        largest = max(largest, client.connectionCount)
                        completed += 1
                        if completed == 20 { done() }
                    }
                }
            })
        #expect(completed == 20)
        #expect(largest == 3)
    }

    @Test("an idle connection to somebody else makes room")
    func makesRoom() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnections = 1
        try withPair(clientConfiguration: configuration) {
            $1.respond(status: 204)
        } client: { client, authority, done in
            let port = authority.split(separator: ":").last ?? ""
            client.send(request(authority)) { _ in
                #expect(client.idleConnectionCount == 1)
                // The same server under its name is another origin.
                client.send(request("localhost:\(port)")) { result in
                    #expect((try? result.get())?.status == 204)
                    #expect(client.connectionCount == 1)
                    done()
                }
            }
        }
    }

    @Test("not more idle connections are kept than allowed")
    func idlePool() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumIdlePerOrigin = 2
        var completed = 0
        try withPair(clientConfiguration: configuration) {
            $1.respond(status: 204)
        } client: { client, authority, done in
            for _ in 0..<5 {
                client.send(request(authority)) { _ in
                    completed += 1
                    #expect(client.idleConnectionCount <= 2)
                    guard completed == 5 else { return }
                    #expect(client.connectionCount == 2)
                    done()
                }
            }
        }
        #expect(completed == 5)
    }

    @Test("connections come from the source address that was asked for")
    func source() throws {
        var seen: [String] = []
        var configuration = HTTPClientConfiguration()
        configuration.sourceAddress = SocketAddress("127.0.0.9:0")
        try withPair(clientConfiguration: configuration) { request, responder in
            seen.append(request.peerAddress?.ipAddress.description ?? "")
            responder.respond(status: 204)
        } client: { client, authority, done in
            client.send(request(authority)) { _ in
                var options = HTTPRequestOptions()
                options.sourceAddress = SocketAddress("127.0.0.8:0")
                client.send(request(authority), options: options) { _ in done() }
            }
        }
        #expect(seen == ["127.0.0.9", "127.0.0.8"])
    }

    @Test("names are looked up, and every address is tried")
    func names() throws {
        try withPair {
            $1.respond(status: 204)
        } client: { client, authority, done in
            // "localhost" may be ::1 first, where nobody listens.
            let port = authority.split(separator: ":").last ?? ""
            client.send(request("localhost:\(port)")) { result in
                #expect((try? result.get())?.status == 204)
                client.send(request("no-such-name.invalid")) { result in
                    guard case .failure(let error) = result else {
                        Issue.record("a name that cannot exist answered")
                        return done()
                    }
                    #expect(error.statusHint == 502)
                    #expect(client.connectionCount == 1)
                    done()
                }
            }
        }
    }

    @Test("content can be taken slice by slice, with pauses")
    func slices() throws {
        let body = (0..<500_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var received: [UInt8] = []
        var status = 0
        var pauses = 0
        try withPair {
            $1.respond(status: 203, body: body)
        } client: { client, authority, done in
            var call: HTTPClientCall?
            call = client.stream(request(authority)) {
                status = $0.status
            } onSlice: { slice in
                received += slice
                pauses += 1
                call?.pause()
                client.loop.enqueue { call?.resume() }
            } completion: { result in
                #expect((try? result.get())?.body.isEmpty == true)
                call = nil
                done()
            }
        }
        #expect(status == 203)
        #expect(received == body)
        #expect(pauses > 1)
    }
}
