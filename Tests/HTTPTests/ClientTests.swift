import HTTP
import HTTPTypes
import Pacing
import Reactor
import Testing

@Suite(.serialized) struct ClientTests {
    @Test("a response comes back whole, with its fields")
    func get() throws {
        try withPair { request, responder in
            #expect(request.path == "/a")
            #expect(request.query == "b=c")
            #expect(request.fields["x-test"].map { String(decoding: $0, as: UTF8.self) } == "1")
            #expect(request.fields["user-agent"] != nil)
            var response = HTTPResponse(status: .accepted)
            response.headerFields[.server] = "test"
            responder.respond(response, body: Array("hello".utf8))
        } client: { client, authority, done in
            var request = HTTPRequest(
                method: .get, scheme: "http", authority: authority, path: "/a?b=c")
            request.headerFields[try #require(HTTPField.Name("X-Test"))] = "1"
            client.send(request) { result in
                let response = try? result.get()
                #expect(response?.status == 202)
                #expect(response?.body == Array("hello".utf8))
                #expect(response?.field("SERVER") == "test")
                #expect(response?.httpResponse.headerFields[.server] == "test")
                done()
            }
        }
    }

    @Test("content of any size goes both ways", arguments: [0, 1, 1_000, 40_000, 3_000_000])
    func post(count: Int) throws {
        let body = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        try withPair { request, responder in
            responder.respond(status: 200, body: request.takeBody())
        } client: { client, authority, done in
            client.send(makeRequest(.post, authority), body: body) { result in
                #expect((try? result.get())?.body == body)
                done()
            }
        }
    }

    @Test("a connection is kept and used again")
    func reuse() throws {
        var used: [Bool] = []
        try withPair {
            $1.respond(status: 204)
        } client: { client, authority, done in
            func next() {
                client.send(makeRequest(.get, authority)) { result in
                    used.append((try? result.get())?.usedOpenConnection == true)
                    #expect(client.connectionCount == 1)
                    #expect(client.idleConnectionCount == 1)
                    if used.count < 4 { next() } else { done() }
                }
            }
            next()
        }
        #expect(used == [false, true, true, true])
    }

    @Test("a request that asks to close is not followed by another on its connection")
    func close() throws {
        try withPair {
            $1.respond(status: 204)
        } client: { client, authority, done in
            var options = HTTPRequestOptions()
            options.closesConnection = true
            client.send(makeRequest(.get, authority), options: options) { result in
                #expect((try? result.get())?.field("Connection") == "close")
                #expect(client.connectionCount == 0)
                done()
            }
        }
    }

    @Test("responses can be chunked, end with the connection, have trailers or no content")
    func framings() throws {
        let cases: [(String, String, String?)] = [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "ok", nil),
            ("HTTP/1.1 200 OK\r\n\r\nuntil the end", "until the end", nil),
            ("HTTP/1.0 200 OK\r\n\r\nold", "old", nil),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + "2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n", "ok", "7"
            ),
            (
                "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1", "1",
                nil
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", "", nil),
        ]
        for (wire, body, sum) in cases {
            try withScript([wire]) { client, authority, done in
                client.send(makeRequest(.get, authority)) { result in
                    let response = try? result.get()
                    #expect(response?.body == Array(body.utf8), "\(wire)")
                    #expect(response?.trailers.first?.value == sum)
                    done()
                }
            }
        }
    }

    @Test("what a server may not send is the server's fault")
    func malformed() throws {
        let wires = [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "HTTP/1.1 200 OK\nX: y\r\n\r\n",
            "SSH-2.0-x\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", "",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        ]
        for wire in wires {
            try withScript([wire]) { client, authority, done in
                client.send(makeRequest(.get, authority)) { result in
                    guard case .failure(let error) = result else {
                        Issue.record("\(wire) was taken")
                        return done()
                    }
                    #expect(error.fault == .remote)
                    #expect(error.statusHint == 502)
                    #expect(client.connectionCount == 0)
                    done()
                }
            }
        }
    }

    @Test("bytes behind a response are never taken for the next one")
    func surplus() throws {
        let wire = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
        try withScript([wire + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", wire]) {
            client, authority, done in
            client.send(makeRequest(.get, authority)) { result in
                #expect((try? result.get())?.body == [0x31])
                client.send(makeRequest(.get, authority)) { result in
                    #expect((try? result.get())?.body == [0x31])
                    #expect((try? result.get())?.usedOpenConnection == false)
                    done()
                }
            }
        }
    }

    private func makeRequest(
        _ method: HTTPRequest.Method, _ authority: String
    ) -> HTTPRequest {
        HTTPRequest(method: method, scheme: "http", authority: authority, path: "/")
    }
}

/// A server and a client on one loop; `done` ends both, which then have to be gone.
func withPair(
    _ configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    clientConfiguration: HTTPClientConfiguration = HTTPClientConfiguration(),
    _ location: SourceLocation = #_sourceLocation, server handler: @escaping HTTPServer.Handler,
    client body: (HTTPClient, _ authority: String, _ done: @escaping () -> Void) throws -> Void
) throws {
    weak var watchedServer: HTTPServer?
    weak var watchedClient: HTTPClient?
    try withLoop(location) { loop in
        let server = HTTPServer(loop: loop, configuration: configuration, handler: handler)
        let client = HTTPClient(loop: loop, configuration: clientConfiguration)
        watchedServer = server
        watchedClient = client
        let address = try server.listen(on: anyPort)
        try body(client, "\(address)") {
            client.close()
            server.close()
        }
    }
    #expect(watchedServer == nil, "the server is still held", sourceLocation: location)
    #expect(watchedClient == nil, "the client is still held", sourceLocation: location)
}

/// A server that answers the first request of each connection with bytes from a list (the last one
/// again and again) and then closes, or closes only when a second request comes.
func withScript(
    _ answers: [String], closesOnSecond: Bool = false,
    _ location: SourceLocation = #_sourceLocation,
    client body: (HTTPClient, _ authority: String, _ done: @escaping () -> Void) throws -> Void
) throws {
    weak var watched: HTTPClient?
    try withLoop(location) { loop in
        var accepted: [TCPConnection] = []
        var count = 0
        let listener = try TCPListener(loop: loop, address: anyPort) { connection in
            accepted.append(connection)
            var requests = 0
            connection.onRead = { connection, _ in
                requests += 1
                if requests > 1 { return connection.close() }
                connection.write(Array(answers[min(count, answers.count - 1)].utf8))
                count += 1
                if !closesOnSecond { connection.endWriting() }
            }
            connection.resumeReading()
        }
        let client = HTTPClient(loop: loop)
        watched = client
        try body(client, "\(listener.localAddress)") {
            client.close()
            listener.close()
            for connection in accepted { connection.close() }
            accepted = []
        }
    }
    #expect(watched == nil, "the client is still held", sourceLocation: location)
}
