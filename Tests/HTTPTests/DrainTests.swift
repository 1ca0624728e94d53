import HTTP
import HTTPTypes
import Pacing
import Reactor
import Testing

@Suite(.serialized) struct DrainTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"

    @Test("draining closes what is idle, finishes what is under way, and takes nothing new")
    func drains() throws {
        var kept: HTTPResponder?
        var drained = 0
        weak var watched: HTTPServer?
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { _, responder in kept = responder }
            watched = server
            let address = try server.listen(on: anyPort)
            var idleEnded = false
            let idle = Peer(loop: loop, to: address) { _ in }
            idle.onChange = { _ in idleEnded = true }
            let busy = Peer(loop: loop, to: address) { $0.send(get) }
            loop.pollUntil({ kept != nil && server.connectionCount == 2 }) {
                server.drain(grace: .seconds(10)) { drained += 1 }
                #expect(drained == 0)
                loop.pollUntil({ idleEnded }) {
                    #expect(server.connectionCount == 1)
                    refuses(loop, address)
                    #expect(kept?.respond(status: 200, literal: "last") == true)
                }
            }
            busy.onChange = { peer in
                guard peer.end != nil else { return }
                #expect(peer.received.hasSuffix("Connection: close\r\n\r\nlast"))
            }
        }
        #expect(drained == 1)
        kept = nil
        #expect(watched == nil)
    }

    private func refuses(_ loop: EventLoop, _ address: SocketAddress) {
        TCPConnection(loop: loop).connect(to: address) { _, result in
            #expect(throws: UVError.self) { try result.get() }
        }
    }

    @Test("a drain asked for by a handler lets that handler answer")
    func drainInHandler() throws {
        var drained = false
        var answer = ""
        try withLoop { loop in
            var server: HTTPServer?
            server = HTTPServer(loop: loop) { _, responder in
                server?.drain(grace: .seconds(10)) { drained = true }
                responder.respond(status: 200, literal: "bye")
            }
            let address = try #require(try server?.listen(on: anyPort))
            let peer = Peer(loop: loop, to: address) { $0.send(get) }
            peer.onChange = {
                answer = $0.received
                server = nil
            }
        }
        #expect(drained)
        #expect(answer.hasSuffix("Connection: close\r\n\r\nbye"))
    }

    @Test("a drain without connections completes, and closing twice is one close")
    func empty() throws {
        var drained = 0
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { $1.respond(status: 200) }
            try server.listen(on: anyPort)
            server.drain(grace: .seconds(1)) { drained += 1 }
            server.drain(grace: .seconds(1)) { drained += 1 }
            loop.enqueue {
                server.close()
                server.close()
            }
        }
        #expect(drained == 2)
    }

    @Test("a drain of a server that is closed or drained completes too")
    func afterTheEnd() throws {
        var drained: [String] = []
        try withLoop { loop in
            let closed = HTTPServer(loop: loop) { $1.respond(status: 200) }
            closed.close()
            closed.drain(grace: .seconds(1)) { drained.append("closed") }
            #expect(drained.isEmpty, "not inside the call")
            let first = HTTPServer(loop: loop) { $1.respond(status: 200) }
            first.drain(grace: .seconds(1)) {
                drained.append("first")
                first.drain(grace: .seconds(1)) { drained.append("second") }
            }
        }
        #expect(drained == ["closed", "first", "second"])
    }
}
