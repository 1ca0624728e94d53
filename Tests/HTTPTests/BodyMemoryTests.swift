import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// Memory and time for content, of all connections together.
@Suite(.serialized) struct BodyMemoryTests {
    private func post(_ length: Int) -> String {
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(length)\r\n\r\n"
    }

    private func chunk(_ text: String) -> String {
        String(text.utf8.count, radix: 16) + "\r\n" + text + "\r\n"
    }

    @Test("what finds no room beside the content of others is 503, and there is room afterwards")
    func sum() throws {
        var configuration = HTTPServerConfiguration()
        configuration.maximumBodyMemory = 1000
        var answers: [String] = []
        let text = String(repeating: "x", count: 600)
        try withLoop { loop in
            let server = HTTPServer(loop: loop, configuration: configuration) {
                $1.respond(status: 200, body: "\($0.body.count)")
            }
            let address = try server.listen(on: anyPort)
            func next(_ pieces: [String], _ then: @escaping () -> Void) {
                let peer = Peer(loop: loop, to: address) { for piece in pieces { $0.send(piece) } }
                peer.onChange = { peer in
                    answers.append(peer.received)
                    peer.close()
                    then()
                }
            }
            // Holds 600 bytes as long as nobody ends it.
            let holder = Peer(loop: loop, to: address) { $0.send(post(601) + text) }
            let chunked = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            loop.pollUntil({ server.budget.used == 600 }) {
                next([post(401)]) {
                    next([post(1001)]) {
                        next([chunked + chunk(text)]) {
                            next([post(400) + text.prefix(400)]) {
                                #expect(server.budget.used == 600)
                                holder.send("x")
                            }
                        }
                    }
                }
            }
            holder.onChange = { peer in
                answers.append(peer.received)
                peer.close()
                next([chunked + chunk(text) + chunk(text)]) {
                    next([chunked + chunk(text) + "0\r\n\r\n"]) {
                        #expect(server.budget.used == 0)
                        server.close()
                    }
                }
            }
        }
        let statuses = answers.map { $0.split(separator: " ").dropFirst().first ?? "" }
        #expect(statuses == ["503", "413", "503", "200", "200", "413", "200"])
        #expect(answers[0].contains("\r\nRetry-After: 1\r\n"))
        #expect(!answers[1].contains("Retry-After"), "it never fits")
    }

    @Test("content that is broken off, or that its handler took, is not counted any more")
    func givenBack() throws {
        var taken: [[UInt8]] = []
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { request, responder in
                taken.append(request.takeBody())
                responder.respond(status: 200)
            }
            let address = try server.listen(on: anyPort)
            let broken = Peer(loop: loop, to: address) { $0.send(post(10) + "12345") }
            loop.pollUntil({ server.budget.used == 5 }) {
                broken.connection.abort()
                loop.pollUntil({ server.connectionCount == 0 }) {
                    #expect(server.budget.used == 0)
                    let whole = Peer(loop: loop, to: address) {
                        $0.send(post(4) + "12")
                        loop.pollUntil({ server.budget.used == 2 }) { [peer = $0] in
                            peer.send("34")
                        }
                    }
                    whole.onChange = { peer in
                        #expect(server.budget.used == 0)
                        peer.close()
                        server.close()
                    }
                }
            }
        }
        #expect(taken == [Array("1234".utf8)])
    }

    @Test("an announced length is no memory yet, here or in the client")
    func announced() throws {
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { $1.respond(status: 200) }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address) { $0.send(post(60 << 20) + "x") }
            loop.pollUntil({ server.budget.used == 1 }) {
                let capacity = server.connections[0].exchange?.body.capacity ?? 0
                #expect((1...(1 << 20)).contains(capacity))
                peer.close()
                server.close()
            }
        }
        try withScript(["HTTP/1.1 200 OK\r\nContent-Length: 60000000\r\n\r\nx"]) {
            client, authority, done in
            var call: HTTPClientCall?
            call = client.send(
                HTTPRequest(method: .get, scheme: "http", authority: authority, path: "/")
            ) {
                result in
                #expect(throws: HTTPError.self) { try result.get() }
                #expect((1...(1 << 20)).contains(call?.collected.capacity ?? 0))
                call = nil
                done()
            }
        }
    }

    @Test(
        "content that trickles past its time in all is 408, however steady; slices may take longer")
    func trickle() throws {
        var configuration = HTTPServerConfiguration()
        configuration.bodyDuration = .zero
        for (collects, expected) in [(true, "408"), (false, "200")] {
            let last = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            let answer = try converse(
                [post(3), "a", "b", "c" + last], configuration: configuration
            ) { loop, configuration in
                HTTPServer.decidingAtHead(loop: loop, configuration: configuration) {
                    request, responder in
                    let answer = { _ = responder.respond(status: 200) }
                    if collects { return .collect(limit: 10) { _, _ in answer() } }
                    return .stream(onSlice: { _ in }, onEnd: { if $0 == nil { answer() } })
                }
            }
            #expect(answer.split(separator: " ").dropFirst().first.map(String.init) == expected)
        }
    }
}
