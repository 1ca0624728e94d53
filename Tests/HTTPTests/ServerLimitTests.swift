import HTTP
import HTTPCodec
import Pacing
import Reactor
import Testing

@Suite(.serialized) struct ServerLimitTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

    @Test(
        "what cannot be taken is answered with its status and a close",
        arguments: [
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\nHost: h\r\n\r\n", 400),
            ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", 413),
            ("GET /12345678901234567890 HTTP/1.1\r\nHost: h\r\n\r\n", 414),
            ("GET / HTTP/1.1\r\nHost: h\r\nExpect: magic\r\n\r\n", 417),
            ("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n", 431),
            ("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
            ("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 501),
            ("GET / HTTP/3.0\r\nHost: h\r\n\r\n", 505),
        ])
    func statuses(text: String, status: Int) throws {
        var configuration = HTTPServerConfiguration()
        configuration.limits.maximumTargetBytes = 20
        configuration.limits.maximumFieldCount = 3
        configuration.limits.maximumBodyBytes = 100
        // A good request behind the bad one is not served.
        let answer = try converse(text + get, configuration: configuration) {
            $1.respond(status: 200)
        }
        #expect(answer.hasPrefix("HTTP/1.1 \(status) \(StatusPhrase.of(status))\r\n"), "\(answer)")
        #expect(answer.contains("\r\nConnection: close\r\n"))
        #expect(answer.components(after: "HTTP/1.1 ").count == 1)
    }

    @Test("an error behind good requests leaves their answers alone")
    func errorBehind() throws {
        let answer = try converse(get + get + "nonsense\r\n") { $1.respond(status: 204) }
        #expect(answer.components(after: "HTTP/1.1 204").count == 2)
        #expect(answer.components(after: "HTTP/1.1 400").count == 1)
    }

    @Test("the first answer of an old connection closes it, be it idle before or not")
    func age() throws {
        for (age, count) in [(Duration.zero, 1), (.seconds(3600), 2)] {
            var configuration = HTTPServerConfiguration()
            configuration.maximumConnectionAge = age
            let last = "GET /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            let answer = try converse(get + last, configuration: configuration) {
                $1.respond(status: 204)
            }
            #expect(answer.components(after: "HTTP/1.1 204").count == count, "\(answer)")
            #expect(answer.components(after: "\r\nConnection: close\r\n").count == 1)
        }
    }

    @Test("chunked content beyond the limit is answered with 413")
    func chunkedTooLarge() throws {
        var configuration = HTTPServerConfiguration()
        configuration.limits.maximumBodyBytes = 8
        let head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        let answer = try converse(
            head, "5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n", configuration: configuration
        ) { _, _ in Issue.record("the handler was called") }
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
    }

    @Test("a peer that is still sending gets to see why it was refused")
    func refusedWhileSending() throws {
        var configuration = HTTPServerConfiguration()
        configuration.limits.maximumBodyBytes = 1000
        let head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000\r\n\r\n"
        let piece = String(repeating: "x", count: 20_000)
        let answer = try converse(
            [head] + Array(repeating: piece, count: 10)
        ) { loop, _ in
            HTTPServer(loop: loop, configuration: configuration) { _, _ in
                Issue.record("the handler was called")
            }
        }
        #expect(answer.hasPrefix("HTTP/1.1 413 "))
    }

    @Test("after its last allowed request a connection closes, and says so")
    func requestsPerConnection() throws {
        var configuration = HTTPServerConfiguration()
        configuration.maximumRequestsPerConnection = 2
        let answer = try converse(
            get + get + get, closesSending: false, configuration: configuration
        ) {
            $1.respond(status: 204)
        }
        #expect(
            answer
                == "HTTP/1.1 204 No Content\r\n\r\n"
                + "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
    }

    @Test("beyond the limit of connections peers wait until one closes")
    func connections() throws {
        var configuration = HTTPServerConfiguration()
        configuration.maximumConnections = 2
        var largest = 0
        var answered = 0
        try withLoop { loop in
            let server = HTTPServer(loop: loop, configuration: configuration) {
                $1.respond(status: 204)
            }
            let address = try server.listen(on: anyPort)
            for _ in 0..<6 {
                let peer = Peer(loop: loop, to: address) { $0.send(get) }
                peer.onChange = { peer in
                    largest = max(largest, server.connectionCount)
                    answered += 1
                    peer.close()
                    if answered == 6 { server.close() }
                }
            }
        }
        #expect(answered == 6)
        #expect(largest == 2)
    }
}
