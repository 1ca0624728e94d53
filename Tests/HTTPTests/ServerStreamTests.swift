import HTTP
import HTTPTypes
import Pacing
import Reactor
import Testing

@Suite(.serialized) struct ServerStreamTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

    @Test("content in pieces is chunked, or closes for HTTP/1.0, or has its length")
    func framings() throws {
        func answer(_ request: String, length: Int64?) throws -> String {
            try converse(request) { _, responder in
                guard let writer = responder.start(HTTPResponse(status: .ok), contentLength: length)
                else {
                    Issue.record("the answer does not count")
                    return
                }
                #expect(writer.write(Array("hello ".utf8)) == .flowing)
                #expect(writer.write([]) == .flowing)
                #expect(writer.write(Array("world".utf8)) == .flowing)
                writer.finish()
                #expect(writer.write([1]) == .gone)
            }
        }
        #expect(
            try answer(get, length: nil)
                == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                + "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n")
        #expect(
            try answer(get, length: 11)
                == "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello world")
        #expect(
            try answer("GET / HTTP/1.0\r\n\r\n", length: nil)
                == "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello world")
        #expect(
            try answer("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", length: nil)
                == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    }

    @Test("a writer is told to wait when the peer is slow, and everything arrives")
    func backpressure() throws {
        let piece = [UInt8](repeating: 0x61, count: 100_000)
        let count = 200
        var waits = 0
        var received = 0
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { _, responder in
                guard
                    let writer = responder.start(
                        HTTPResponse(status: .ok),
                        contentLength: Int64(piece.count * count))
                else {
                    Issue.record("the answer does not count")
                    return
                }
                produce(piece, count, writer) { waits += 1 }
            }
            let address = try server.listen(on: anyPort)
            let peer = TCPConnection(loop: loop)
            peer.onRead = { _, bytes in received += bytes.count }
            peer.onEnd = { peer, _ in
                peer.close()
                server.close()
            }
            peer.connect(to: address) { peer, _ in
                peer.write(Array("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".utf8))
                // Reads nothing until the writer has been stopped.
                loop.pollUntil({ waits > 0 }) { peer.resumeReading() }
            }
        }
        #expect(waits > 1)
        #expect(received > piece.count * count)
        #expect(received < piece.count * count + 200, "only the head besides the content")
    }

    private func produce(
        _ piece: [UInt8], _ left: Int, _ writer: HTTPResponseWriter, waited: @escaping () -> Void
    ) {
        var left = left
        while left > 0 {
            left -= 1
            switch writer.write(piece) {
            case .flowing: continue
            case .gone:
                Issue.record("the peer is gone")
                return
            case .backpressured:
                waited()
                let rest = left
                return writer.whenWritable {
                    self.produce(piece, rest, writer, waited: waited)
                }
            }
        }
        writer.finish()
    }

    @Test("a response shorter than its length is broken off, a longer one is cut before the wire")
    func wrongLength() throws {
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { request, responder in
                let writer = responder.start(HTTPResponse(status: .ok), contentLength: 5)
                #expect(writer?.write([1, 2, 3]) == .flowing)
                #expect(writer?.write([4, 5, 6]) == .gone)
                writer?.finish()
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address) { $0.send(get) }
            peer.onChange = { peer in
                guard let end = peer.end else { return }
                #expect(throws: UVError.self, "a clean end would look complete") { try end.get() }
                server.close()
            }
        }
    }

    @Test("content can be taken slice by slice, with pauses")
    func bodySlices() throws {
        let body = String(repeating: "0123456789", count: 5_000)
        var received = ""
        var pauses = 0
        let answer = try converse(
            [
                "POST /up HTTP/1.1\r\nHost: h\r\nContent-Length: \(body.count)\r\n\r\n",
                String(body.prefix(20_000)), String(body.dropFirst(20_000)), get,
            ]
        ) { loop, configuration in
            HTTPServer.decidingAtHead(loop: loop, configuration: configuration) {
                request, responder in
                guard request.path == "/up" else {
                    responder.respond(status: 204)
                    return .ignore
                }
                #expect(request.contentLength == Int64(body.count))
                return .stream { slice in
                    received += String(decoding: slice, as: UTF8.self)
                    pauses += 1
                    responder.pauseBody()
                    loop.enqueue { responder.resumeBody() }
                } onEnd: { error in
                    #expect(error == nil)
                    responder.respond(status: 200, literal: "thanks")
                }
            }
        }
        #expect(received == body)
        #expect(pauses > 1)
        #expect(answer.components(after: "\r\n\r\n") == ["thanks", ""])
    }

    @Test("a stream that breaks off says so, once")
    func brokenStream() throws {
        var ends: [HTTPError?] = []
        try withLoop { loop in
            let server = HTTPServer.decidingAtHead(loop: loop) { _, _ in
                .stream(onSlice: { _ in }, onEnd: { ends.append($0) })
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address) {
                $0.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
                $0.connection.endWriting()
            }
            peer.onChange = { _ in }
            loop.pollUntil({ !ends.isEmpty }) { server.close() }
        }
        #expect(ends.count == 1)
        #expect(ends.first??.fault == .remote)
    }

    @Test("what is ignored is read past, and the connection goes on")
    func ignored() throws {
        let answer = try converse(
            ["POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", "abc" + get]
        ) { loop, configuration in
            HTTPServer.decidingAtHead(loop: loop, configuration: configuration) {
                $1.respond(status: $0.method == .post ? 403 : 204)
                return .ignore
            }
        }
        #expect(answer.hasPrefix("HTTP/1.1 403 "))
        #expect(answer.components(after: "HTTP/1.1 204").count == 1)
    }

    @Test("routes: the path decides, then the method, with 404 and 405")
    func router() throws {
        var router = HTTPRouter()
        router.on(.get, "/a") { $1.respond(status: 200, literal: "got") }
        router.on(.post, "/a", bodyLimit: 4) { $1.respond(status: 200, body: Array($0.body)) }
        func ask(_ text: String) throws -> String {
            try converse([text + " HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"]) {
                HTTPServer(loop: $0, configuration: $1, router: router)
            }
        }
        #expect(try ask("GET /a?q").hasSuffix("\r\n\r\ngot"))
        #expect(try ask("HEAD /a").hasSuffix("Content-Length: 3\r\n\r\n"))
        #expect(try ask("POST /a").hasSuffix("\r\n\r\nbody"))
        #expect(try ask("GET /b").hasPrefix("HTTP/1.1 404 Not Found\r\n"))
        #expect(try ask("DELETE /a").hasPrefix("HTTP/1.1 405 Method Not Allowed\r\n"))
        #expect(try ask("DELETE /a").contains("\r\nAllow: GET, POST, HEAD\r\n"))
        #expect(try ask("FROB /a").hasPrefix("HTTP/1.1 405 "))
        router.otherwise { request, responder in
            responder.respond(status: 200, body: request.path)
            return .ignore
        }
        #expect(try ask("GET /b").hasSuffix("\r\n\r\n/b"))
        let large = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n12345"
        let refused = try converse([large]) {
            HTTPServer(loop: $0, configuration: $1, router: router)
        }
        #expect(refused.hasPrefix("HTTP/1.1 413 "))
    }
}
