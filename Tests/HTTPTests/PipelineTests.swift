import HTTPCodec
import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// What many requests in one go, and readers that take their time, may cost and must not lose.
@Suite(.serialized) struct PipelineTests {
    private static let count = 3000
    private static let body = [UInt8](repeating: 0x61, count: 10_000)
    private let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
    private let answerEnd = String(repeating: "a", count: 10_000)

    /// Calls when the server has read and answered as much as it will for now.
    private func atRest(_ loop: EventLoop, _ server: HTTPServer, _ then: @escaping () -> Void) {
        var (last, looks) = (UInt64.max, 0)
        loop.pollUntil(
            {
                looks = server.requestCount == last && last > 0 ? looks + 1 : 0
                last = server.requestCount
                return looks == 20
            }, then)
    }

    /// Whole answers in what came.
    private func answers(in text: String) -> Int {
        var (count, rest) = (0, Substring(text))
        while let head = rest.firstRange(of: "\r\n\r\n") {
            let body = rest[head.upperBound...].utf8.prefix(10_000)
            guard body.count == 10_000 else { break }
            count += 1
            rest = rest[head.upperBound...].dropFirst(10_000)
        }
        return count
    }

    /// A peer that sends everything at once, and reads only after `atRest` and `event`.
    private func converse(
        closesSending: Bool, event: @escaping (EventLoop, HTTPServer) -> Void
    ) throws -> (whole: Int, requests: UInt64, text: String) {
        var text = ""
        var requests: UInt64 = 0
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { $1.respond(status: 200, body: Self.body) }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address, isReading: false) { peer in
                peer.send(String(repeating: get, count: Self.count))
                if closesSending { peer.connection.endWriting() }
                atRest(loop, server) {
                    event(loop, server)
                    loop.enqueue { loop.enqueue { peer.connection.resumeReading() } }
                }
            }
            peer.onChange = { peer in
                guard peer.end != nil else { return }
                (text, requests) = (peer.received, server.requestCount)
                server.close()
            }
        }
        return (answers(in: text), requests, text)
    }

    @Test("a peer that half-closes and reads late gets every answer it asked for")
    func halfClose() throws {
        let (whole, requests, text) = try converse(closesSending: true) { _, _ in }
        #expect(whole == Self.count)
        #expect(requests == UInt64(Self.count))
        #expect(text.hasSuffix(answerEnd))
    }

    @Test(
        "a drain answers all that was asked before it, and says close in the last answer",
        arguments: [true, false])
    func drain(closesSending: Bool) throws {
        var drained = false
        let (whole, _, text) = try converse(closesSending: closesSending) { _, server in
            server.drain(grace: .seconds(25)) { drained = true }
        }
        #expect(whole == Self.count)
        #expect(drained)
        #expect(text.components(after: "Connection: close\r\n").count == 1)
        #expect(text.hasSuffix("Connection: close\r\n\r\n" + answerEnd))
    }

    @Test(
        "answers that nobody takes are not made: the next request waits for room",
        arguments: [10_000, 30_000, 100_000, 8 << 20])
    func bounded(size: Int) throws {
        let body = [UInt8](repeating: 0x61, count: size)
        var queued = 0
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { $1.respond(status: 200, body: body) }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address, isReading: false) {
                $0.send(String(repeating: get, count: Self.count))
                atRest(loop, server) {
                    queued = server.connections[0].queuedBytes
                    server.close()
                }
            }
            peer.onChange = { $0.close() }
            loop.pollUntil({ queued > 0 }) { peer.close() }
        }
        #expect(queued > TCPConnection.highWaterBytes)
        #expect(queued <= TCPConnection.highWaterBytes + (192 << 10))
    }

    @Test("pieces written inside the handler's call are held back like any others")
    func streamedAtOnce() throws {
        var (pieces, queued) = (0, 0)
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { _, responder in
                let writer = responder.start(HTTPResponse(status: .ok))
                while pieces < 3000, writer?.write(Self.body) == .flowing { pieces += 1 }
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address, isReading: false) {
                $0.send(get)
                atRest(loop, server) {
                    queued = server.connections[0].queuedBytes
                    server.close()
                }
            }
            peer.onChange = { $0.close() }
            loop.pollUntil({ queued > 0 }) { peer.close() }
        }
        #expect(pieces < 3000, "told to wait")
        #expect(queued <= TCPConnection.highWaterBytes + (192 << 10))
    }

    @Test("a peer that takes a large answer slowly is waited for, one that takes nothing is not")
    func slowReader() throws {
        let body = [UInt8](repeating: 0x61, count: 32 << 20)
        var outcomes: [Bool] = []
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { _, responder in
                // In one piece, as a handler with borrowed bytes has it.
                _ = body.withUnsafeBytes { responder.respond(status: 200, body: $0) }
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address, isReading: false) { $0.send(get) }
            atRest(loop, server) {
                let connection = server.connections[0]
                #expect(connection.machine.deadline == .write)
                peer.connection.resumeReading()
                loop.pollUntil({ peer.received.utf8.count > 8 << 20 }) {
                    peer.connection.pauseReading()
                    // As after the time for writing, twice: only between the two nothing went.
                    connection.deadlinePassed()
                    outcomes.append(connection.machine.isGone)
                    connection.deadlinePassed()
                    outcomes.append(connection.machine.isGone)
                    peer.close()
                    server.close()
                }
            }
        }
        #expect(outcomes == [false, true])
    }

    enum Ending: CaseIterable { case idleTime, halfClose, drain }

    @Test(
        "a connection whose time has come still sends what it owes", arguments: Ending.allCases)
    func endsWithQueue(ending: Ending) throws {
        var (written, received) = (0, 0)
        try withLoop { loop in
            let server = HTTPServer(loop: loop) { request, responder in
                let writer = responder.start(HTTPResponse(status: .ok))
                fill(loop, writer) { written += $0 }
            }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address, isReading: false) { $0.send(get) }
            loop.pollUntil({ server.connections.first?.machine.deadline == .idle }) {
                let connection = server.connections[0]
                #expect(connection.queuedBytes > 0)
                switch ending {
                case .idleTime:
                    for _ in 0..<ServerConnectionMachine.idleRounds { connection.deadlinePassed() }
                case .halfClose: peer.connection.endWriting()
                case .drain: server.drain(grace: .seconds(25))
                }
                loop.pollUntil({ !connection.machine.isOpen }) {
                    peer.connection.resumeReading()
                }
            }
            peer.onChange = { peer in
                guard peer.end != nil else { return }
                received = peer.received.utf8.count { $0 == 0x62 }
                server.close()
            }
        }
        #expect(written > 0)
        #expect(received == written)
    }

    /// Writes until a little is queued, then ends the answer.
    private func fill(
        _ loop: EventLoop, _ writer: HTTPResponseWriter?, wrote: @escaping (Int) -> Void
    ) {
        loop.enqueue {
            let piece = [UInt8](repeating: 0x62, count: 20_000)
            while writer?.exchange.connection?.queuedBytes == 0 {
                writer?.write(piece)
                wrote(piece.count)
            }
            writer?.finish()
        }
    }

    @Test("a head that is started later goes out at once, without content to push it")
    func streamedHead() throws {
        var answer = ""
        try withLoop { loop in
            var kept: HTTPResponder?
            var writer: HTTPResponseWriter?
            let server = HTTPServer(loop: loop) { kept = $1 }
            let address = try server.listen(on: anyPort)
            let peer = Peer(loop: loop, to: address) { $0.send(get) }
            loop.pollUntil({ kept != nil }) {
                writer = kept?.start(HTTPResponse(status: .ok))
                kept = nil
            }
            peer.onChange = { peer in
                answer = peer.received
                if peer.received.hasSuffix("\r\n\r\n") {
                    writer?.finish()
                    writer = nil
                    peer.close()
                    server.close()
                }
            }
        }
        #expect(answer == "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    }
}
