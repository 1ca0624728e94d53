import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// Every deadline of a server's connection, to the nanosecond, in no time.
@Suite struct ServerTimeTests {
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    private let timeout = "HTTP/1.1 408 Request Timeout\r\n"

    private func post(_ length: Int) -> String {
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: \(length)\r\n\r\n"
    }

    @Test("a head that does not come: 408 once it has begun, else closed without a word")
    func head() throws {
        try withVirtualServer { loop, server in
            let (silent, begun) = (VirtualPeer(server), VirtualPeer(server))
            begun.send("GET / HT")
            loop.advance(by: .milliseconds(9999))
            #expect(silent.endedAt == nil && begun.endedAt == nil)
            loop.advance(by: .milliseconds(1))
            #expect(silent.endedAt == .seconds(10) && silent.received.isEmpty && !silent.wasReset)
            #expect(begun.endedAt == .seconds(10) && begun.received.hasPrefix(timeout))
        }
    }

    @Test("slowloris: bytes that trickle do not keep a head alive, first or later")
    func slowloris() throws {
        try withVirtualServer { loop, server in
            let peer = VirtualPeer(server)
            peer.trickle("G", every: .seconds(1), atMost: 100)
            #expect(peer.endedAt == .seconds(10) && peer.received.hasPrefix(timeout))

            // Behind a request, a head has its time from its own first byte on.
            let kept = VirtualPeer(server)
            kept.send(get)
            loop.advance(by: .seconds(30))
            kept.send("G")
            kept.trickle("E", every: .seconds(1), atMost: 100)
            #expect(kept.endedAt == .seconds(40) && kept.count("HTTP/1.1 408 ") == 1)
        }
    }

    @Test("content that does not come is 408 so long after its last piece")
    func body() throws {
        try withVirtualServer { loop, server in
            let peer = VirtualPeer(server)
            peer.send(post(10))
            loop.advance(by: .seconds(29))
            peer.send("a")
            loop.advance(by: .seconds(29))
            #expect(peer.endedAt == nil)
            loop.advance(by: .seconds(1))
            #expect(peer.endedAt == .seconds(59) && peer.received.hasPrefix(timeout))
        }
    }

    @Test("content that trickles, however steadily, is 408 after its time in all; slices are not")
    func wholeBody() throws {
        try withVirtualServer { loop, server in
            let peer = VirtualPeer(server)
            peer.send(post(1000))
            peer.trickle("a", every: .seconds(20), atMost: 1000)
            #expect(peer.endedAt == .seconds(300) && peer.received.hasPrefix(timeout))
        }
        let loop = try EventLoop.virtual()
        var taken = 0
        let server = HTTPServer.decidingAtHead(loop: loop) { _, responder in
            .stream(
                onSlice: { taken += $0.count },
                onEnd: { if $0 == nil { responder.respond(status: 204) } })
        }
        let peer = VirtualPeer(server)
        peer.send(post(100))
        peer.trickle("a", every: .seconds(20), atMost: 100)
        #expect(taken == 100 && peer.received.hasPrefix("HTTP/1.1 204 "))
        server.close()
        loop.advance(by: .seconds(10))
        try loop.close()
    }

    @Test("an idle connection is closed without a word, within an eighth of its time")
    func idle() throws {
        try withVirtualServer { loop, server in
            let (quiet, busy) = (VirtualPeer(server), VirtualPeer(server))
            for peer in [quiet, busy] { peer.send(get) }
            loop.advance(by: .seconds(50))
            busy.send(get)
            loop.advance(by: .seconds(10))
            #expect(quiet.endedAt == nil)
            loop.advance(by: .milliseconds(7500))
            let end = try #require(quiet.endedAt)
            #expect(end >= .seconds(60) && end <= .milliseconds(67_500) && !quiet.wasReset)
            #expect(quiet.received == "HTTP/1.1 204 No Content\r\n\r\n")
            #expect(busy.endedAt == nil)
            loop.advance(by: .seconds(50))
            #expect(try #require(busy.endedAt) >= .seconds(110))
        }
    }

    // MARK: - Slow readers

    private let large = [UInt8](repeating: 0x61, count: 3 << 20)

    private func path(bytesPerSecond: Int) -> MemoryStream.Path {
        var path = MemoryStream.Path()
        path.bytesPerSecond = bytesPerSecond
        path.capacity = 64 << 10
        path.pieces = 1...1460
        return path
    }

    @Test("a reader of a kilobyte a second gets its answer, though it takes most of an hour")
    func slowReader() throws {
        try withVirtualServer(handler: { [large] in $1.respond(status: 200, body: large) }) {
            loop, server in
            let peer = VirtualPeer(server, answers: path(bytesPerSecond: 1024))
            peer.send(get)
            loop.advance(by: .seconds(3000))
            #expect(peer.endedAt == nil)
            loop.advance(by: .seconds(200))
            #expect(!peer.wasReset && peer.received.utf8.count { $0 == 0x61 } == large.count)
        }
    }

    @Test("a reader that stops is reset between one and two times for writing after it did")
    func stoppedReader() throws {
        try withVirtualServer(handler: { [large] in $1.respond(status: 200, body: large) }) {
            loop, server in
            let peer = VirtualPeer(server, answers: path(bytesPerSecond: 10_240))
            peer.send(get)
            loop.advance(by: .seconds(100))
            peer.stream.pauseReading()
            loop.advance(by: .seconds(60))
            #expect(server.connectionCount == 1)
            // The path held some of it, which went on for a few seconds more.
            loop.advance(by: .seconds(70))
            #expect(server.connectionCount == 0)
            peer.stream.resumeReading()
            loop.settle()
            #expect(peer.wasReset)
        }
    }

    @Test("pipelined answers are made only as fast as they are read, and all arrive")
    func pipelined() throws {
        let body = [UInt8](repeating: 0x62, count: 1000)
        try withVirtualServer(handler: { $1.respond(status: 200, body: body) }) { loop, server in
            let peer = VirtualPeer(server, answers: path(bytesPerSecond: 10_000))
            peer.send(String(repeating: get, count: 3000))
            // It says that it sends no more, as `nc -N` does, and keeps on reading.
            peer.stream.endWriting()
            loop.advance(by: .seconds(30))
            #expect(server.requestCount < 1000)
            loop.advance(by: .seconds(600))
            #expect(
                peer.count("HTTP/1.1 200 OK") > 0
                    && peer.received.split(separator: "HTTP/1.1 200 OK").count == 3000)
            #expect(peer.endedAt != nil && !peer.wasReset)
        }
    }

    // MARK: - Ends

    @Test("who is refused and goes on sending is listened to for the linger time, and no longer")
    func linger() throws {
        try withVirtualServer { loop, server in
            let peer = VirtualPeer(server)
            peer.keepsOpen = true
            peer.send("nonsense\r\n\r\n")
            #expect(peer.received.hasPrefix("HTTP/1.1 400 ") && server.connectionCount == 1)
            loop.advance(by: .milliseconds(1999))
            #expect(server.connectionCount == 1)
            loop.advance(by: .milliseconds(1))
            #expect(server.connectionCount == 0)
            #expect(peer.endedAt == .zero && !peer.wasReset)
            peer.stream.close()
        }
        // Who does not read either is not waited for for ever.
        try withVirtualServer(handler: { [large] in $1.respond(status: 200, body: large) }) {
            loop, server in
            let peer = VirtualPeer(server, isReading: false)
            peer.send(get + "nonsense\r\n\r\n")
            loop.advance(by: .seconds(122))
            #expect(server.connectionCount == 0)
            peer.stream.close()
        }
    }

    @Test("a drain closes what is idle at once, waits for answers, and resets after its grace")
    func drain() throws {
        var responders: [HTTPResponder] = []
        try withVirtualServer(handler: { request, responder in
            if request.path == "/slow" {
                responders.append(responder)
            } else {
                responder.respond(status: 204)
            }
        }) { loop, server in
            let slow = get.replacing("/a", with: "/slow")
            let (idle, answered, hung) = (
                VirtualPeer(server), VirtualPeer(server), VirtualPeer(server)
            )
            idle.send(get)
            answered.send(slow)
            hung.send(slow)
            loop.advance(by: .seconds(1))
            var drained: Instant?
            server.drain(grace: .seconds(25)) { drained = loop.now }
            let start = loop.now
            loop.settle()
            #expect(idle.endedAt == .seconds(1) && !idle.wasReset)
            loop.advance(by: .seconds(20))
            responders[0].respond(status: 200)
            loop.settle()
            #expect(answered.endedAt == .seconds(21) && !answered.wasReset)
            #expect(answered.received.contains("Connection: close\r\n"))
            #expect(drained == nil)
            loop.advance(by: .seconds(5))
            #expect(hung.endedAt == .seconds(26) && hung.wasReset)
            #expect(drained == start + .seconds(25))
            // Nobody is admitted any more.
            let late = VirtualPeer(server)
            loop.settle()
            #expect(late.wasReset)
            responders = []
        }
    }

    @Test("the first answer of an old connection is its last; one that is idle stays")
    func age() throws {
        var configuration = HTTPServerConfiguration()
        configuration.maximumConnectionAge = .seconds(5)
        try withVirtualServer(configuration) { loop, server in
            let peer = VirtualPeer(server)
            peer.send(get)
            loop.advance(by: .milliseconds(4999))
            peer.send(get)
            #expect(peer.endedAt == nil && !peer.received.contains("close"))
            loop.advance(by: .seconds(40))
            #expect(peer.endedAt == nil)
            peer.send(get)
            #expect(peer.endedAt == .milliseconds(44_999) && peer.count("HTTP/1.1 204 ") == 3)
        }
    }

    @Test("the Date is asked for once a second at most")
    func date() throws {
        var asked = 0
        var configuration = HTTPServerConfiguration()
        configuration.date = {
            asked += 1
            return "Tue, 24 Nov 2026 10:00:0\(asked) GMT"
        }
        try withVirtualServer(configuration) { loop, server in
            let peer = VirtualPeer(server)
            for _ in 0..<3 {
                peer.send(get + get)
                loop.advance(by: .milliseconds(999))
                peer.send(get)
                loop.advance(by: .milliseconds(1))
            }
            #expect(
                asked == 3 && peer.count("Date: Tue, 24 Nov 2026 10:00:01") == 3
                    && peer.count("Date: Tue, 24 Nov 2026 10:00:03") == 3)
        }
    }
}
