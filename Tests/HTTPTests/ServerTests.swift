import HTTP
import HTTPTypes
import Pacing
import Reactor
import Testing

@Suite(.serialized) struct ServerTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

    @Test("a request is answered as RFC 9112 has it")
    func hello() throws {
        let answer = try converse(get) { request, responder in
            #expect(request.method == .get)
            #expect(request.path == "/a")
            #expect(request.fields["host"].map { String(decoding: $0, as: UTF8.self) } == "h")
            #expect(request.peerAddress?.ipAddress == .loopbackV4)
            responder.respond(status: 200, literal: "hello\n")
        }
        #expect(
            answer
                == "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n"
                + "Content-Length: 6\r\n\r\nhello\n")
    }

    @Test("the types of swift-http-types are built when asked for")
    func currencyTypes() throws {
        let text = "PUT http://other:81/p?q=1 HTTP/1.1\r\nHost: h\r\nX: 1\r\nx: caf\u{e9}\r\n\r\n"
        let answer = try converse(text) { request, responder in
            let value = request.httpRequest
            #expect(value.method == .put)
            #expect(value.authority == "other:81")
            #expect(value.path == "/p?q=1")
            #expect(request.query == "q=1")
            #expect(value.headerFields[values: HTTPField.Name("X")!] == ["1", "caf\u{e9}"])
            var response = HTTPResponse(status: .created)
            response.headerFields[.location] = "/new"
            response.headerFields[.contentLength] = "99"
            response.headerFields[.connection] = "close"
            responder.respond(response, body: Array("ok".utf8))
        }
        #expect(
            answer
                == "HTTP/1.1 201 Created\r\nLocation: /new\r\nContent-Length: 2\r\n"
                + "Connection: close\r\n\r\nok")
    }

    @Test("pipelined requests are answered in order, also when answers come later")
    func pipelining() throws {
        let requests = (1...5).map { "GET /\($0) HTTP/1.1\r\nHost: h\r\n\r\n" }.joined()
        for isLate in [false, true] {
            var order: [String] = []
            let answer = try converse(requests) { request, responder in
                let path = request.path
                order.append(path)
                if isLate {
                    // The request is gone by then; what is needed of it was copied.
                    responder.loop.enqueue { responder.respond(status: 200, body: path) }
                } else {
                    responder.respond(status: 200, body: path)
                }
            }
            #expect(order == ["/1", "/2", "/3", "/4", "/5"])
            #expect(answer.components(after: "\r\n\r\n") == ["/1", "/2", "/3", "/4", "/5"])
        }
    }

    @Test("requests split anywhere are understood")
    func splitRequests() throws {
        let whole = "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody" + get
        for cut in stride(from: 1, to: whole.count, by: 7) {
            let index = whole.index(whole.startIndex, offsetBy: cut)
            var seen: [String] = []
            _ = try converse(String(whole[..<index]), String(whole[index...])) {
                seen.append($0.path + String(decoding: $0.body, as: UTF8.self))
                $1.respond(status: 204)
            }
            #expect(seen == ["/xbody", "/a"], "cut at \(cut)")
        }
    }

    @Test("content is collected, whatever its framing", arguments: [true, false])
    func content(isChunked: Bool) throws {
        let head = "POST / HTTP/1.1\r\nHost: h\r\n"
        let pieces =
            isChunked
            ? [
                head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel",
                "lo\r\n6;x\r\n world\r\n0\r\nT: 1\r\n\r\n",
            ]
            : [head + "Content-Length: 11\r\n\r\nhello ", "world"]
        var bodies: [String] = []
        let answer = try converse(pieces) { loop, configuration in
            HTTPServer(loop: loop, configuration: configuration) { request, responder in
                bodies.append(String(decoding: request.body, as: UTF8.self))
                bodies.append(String(decoding: request.takeBody(), as: UTF8.self))
                #expect(request.path == "/", "the head has been kept")
                responder.respond(status: 200)
            }
        }
        #expect(bodies == ["hello world", "hello world"])
        #expect(answer == "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    }

    @Test("a client that waits for 100 gets it before its content is read")
    func continues() throws {
        var answer = ""
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { request, responder in
                responder.respond(status: 200, body: Array(request.body))
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address) {
                $0.send(
                    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n"
                        + "Expect: 100-continue\r\n\r\n"
                )
            }
            peer.onChange = { peer in
                if peer.received == "HTTP/1.1 100 Continue\r\n\r\n" {
                    peer.send("ok")
                } else if peer.received.hasSuffix("ok") {
                    answer = peer.received
                    peer.close()
                    server.close()
                }
            }
        }
        #expect(
            answer
                == "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    }

    @Test("HEAD, 204 and 304 carry no content")
    func noContent() throws {
        let head = try converse("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") {
            $1.respond(status: 200, literal: "hello\n")
        }
        #expect(head.hasSuffix("Content-Length: 6\r\n\r\n"))
        for status in [204, 304] {
            let answer = try converse(get) { $1.respond(status: status, literal: "dropped") }
            #expect(answer.hasPrefix("HTTP/1.1 \(status) "))
            #expect(answer.hasSuffix("\r\n\r\n"))
            #expect(!answer.contains("Content-Length"))
        }
    }

    @Test("HTTP/1.0 is answered and closed, or kept when it asks")
    func oldVersion() throws {
        let closed = try converse("GET / HTTP/1.0\r\n\r\n", closesSending: false) {
            $1.respond(status: 200, literal: "x")
        }
        #expect(closed.contains("\r\nConnection: close\r\n"))
        let kept = try converse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") {
            $1.respond(status: 200, literal: "x")
        }
        #expect(kept.contains("\r\nConnection: keep-alive\r\n"))
    }

    @Test("a responder answers once")
    func once() throws {
        var outcomes: [Bool] = []
        let answer = try converse(get + get) { _, responder in
            outcomes.append(responder.isOpen)
            outcomes.append(responder.respond(status: 200, literal: "first"))
            outcomes.append(responder.respond(status: 200, literal: "second"))
            outcomes.append(responder.isOpen)
        }
        #expect(outcomes == [true, true, false, false, true, true, false, false])
        #expect(!answer.contains("second"))
    }

    @Test("a responder kept beyond its connection does nothing, and was told")
    func peerGone() throws {
        var kept: HTTPResponder?
        var told: [HTTPPeerEnd] = []
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { _, responder in
                kept = responder
                responder.whenPeerEnds { end in
                    told.append(end)
                    #expect(kept?.respond(status: 200, literal: "late") == false)
                }
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address) { $0.send(get) }
            // The handler has run when there is a responder.
            loop.pollUntil({ kept != nil }) {
                peer.connection.abort()
                loop.pollUntil({ server.connectionCount == 0 }) { server.close() }
            }
        }
        #expect(told == [.gone])
        #expect(kept?.isOpen == false)
        kept = nil  // the handler holds it, it holds the server, and that the handler
    }

    @Test("a peer that only closes its sending side gets its answer, and the handler knows")
    func halfClosed() throws {
        var told: [HTTPPeerEnd] = []
        let answer = try converse(get) { _, responder in
            responder.whenPeerEnds { end in
                told.append(end)
                responder.respond(status: 200, literal: "still")
            }
        }
        #expect(told == [.halfClosed])
        #expect(answer.hasSuffix("Connection: close\r\n\r\nstill"))
    }

    @Test("what would split a response is not written")
    func injection() throws {
        let answer = try converse(get) {
            $1.respondMethodNotAllowed(allow: "GET\r\nSet-Cookie: stolen=1")
        }
        #expect(answer.hasPrefix("HTTP/1.1 500 "))
        #expect(!answer.contains("stolen"))
    }

    @Test("several addresses, and IPv6, are served by one server")
    func addresses() throws {
        var answered: [String] = []
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { request, responder in
                answered.append(request.localAddress?.ipAddress.description ?? "")
                responder.respond(status: 200)
            }
            for text in ["127.0.0.1:0", "127.0.0.2:0", "[::1]:0"] {
                let address = try server.listen(on: try #require(SocketAddress(text)))
                #expect(address.port != 0)
                let peer = Peer(loop: loop, to: address) {
                    $0.send(get)
                    $0.connection.endWriting()
                }
                peer.onChange = { _ in
                    if answered.count == 3, server.connectionCount == 0 { server.close() }
                }
            }
            #expect(server.addresses.count == 3)
            loop.pollUntil({ answered.count == 3 && server.connectionCount == 0 }) {
                server.close()
            }
        }
        #expect(Set(answered) == ["127.0.0.1", "127.0.0.2", "::1"])
    }

    @Test("an address in use is an error that names it")
    func addressInUse() throws {
        try withLoop { loop in
            let first = HTTPServer(loop: loop) { $1.respond(status: 200) }
            let second = HTTPServer(loop: loop) { $1.respond(status: 200) }
            let address = try first.listen(on: anyPort)
            let error = #expect(throws: UVError.self) { try second.listen(on: address) }
            #expect(error?.kind == .addressInUse)
            #expect(error?.address == address)
            first.close()
            second.close()
        }
    }
}

extension String {
    /// What follows each `mark`, up to the next start of a response.
    func components(after mark: String) -> [String] {
        var parts: [String] = []
        var rest = Substring(self)
        while let found = rest.firstRange(of: mark) {
            rest = rest[found.upperBound...]
            let end = rest.firstRange(of: "HTTP/1.1 ")?.lowerBound ?? rest.endIndex
            parts.append(String(rest[..<end]))
        }
        return parts
    }
}
