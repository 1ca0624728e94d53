import Pacing
import Reactor
import Testing

/// How connections end: halves, resets, failed writes, and in which order all is told.
@Suite struct ConnectionEndTests {
    @Test("after the peer's FIN it still gets an answer, and after the own FIN one still arrives")
    func halfClose() throws {
        try withPair { pair in
            var asked: [UInt8] = []
            var answer: [UInt8] = []
            pair.server.onRead = { _, bytes in asked += bytes }
            pair.server.onEnd = { server, error in
                #expect(error == nil && asked == [1, 2, 3] && answer.isEmpty)
                server.write([4, 5])
                server.closeAfterWriting()
            }
            pair.client.onRead = { _, bytes in answer += bytes }
            pair.client.onEnd = { client, error in
                #expect(error == nil && answer == [4, 5])
                client.close()
            }
            pair.server.resumeReading()
            pair.client.resumeReading()
            pair.client.write([1, 2, 3])
            pair.client.endWriting()
            pair.client.endWriting()
        }
    }

    @Test("a write after the own FIN is dropped, and is no failure of the peer's")
    func writeAfterEnd() throws {
        try withPair { pair in
            var answer: [UInt8] = []
            pair.server.onEnd = { server, _ in
                server.write([7])
                server.closeAfterWriting()
            }
            pair.server.resumeReading()
            pair.client.onRead = { _, bytes in answer += bytes }
            pair.client.onEnd = { client, error in
                #expect(error == nil && answer == [7])
                client.close()
            }
            pair.client.resumeReading()
            pair.client.endWriting()
            #expect(pair.client.write([1]) == .closed)
        }
    }

    @Test("what the peer sent before its reset is read first, though a write failed before")
    func answerBeforeReset() throws {
        try withPair { pair in
            var told: [String] = []
            let client = pair.client
            client.onRead = { _, bytes in told.append(String(decoding: bytes, as: UTF8.self)) }
            client.onEnd = { client, error in
                told.append(error?.kind == .reset ? "reset" : "\(String(describing: error))")
                // Nothing may follow, so leave it open for a turn.
                client.loop.enqueue {
                    client.close()
                    #expect(told == ["too large", "reset"])
                }
            }
            pair.server.onClose = { _ in
                client.resumeReading()
                #expect(client.write([1]) == .closed)
                #expect(told.isEmpty, "called from inside the write")
            }
            pair.server.write(Array("too large".utf8))
            pair.server.abort()
        }
    }

    @Test("a paused reader learns at once that its write failed")
    func pausedReaderLearns() throws {
        try withPair { pair in
            let client = pair.client
            var ends = 0
            client.onRead = { _, _ in Issue.record("reading is paused") }
            client.onEnd = { client, error in
                ends += 1
                #expect(error?.kind == .reset)
                client.close()
            }
            client.onClose = { _ in #expect(ends == 1) }
            pair.server.onClose = { _ in
                client.resumeReading()
                #expect(client.write([1]) == .closed)
                client.pauseReading()
            }
            pair.server.write([9])
            pair.server.abort()
        }
    }

    @Test("a write that fails after the peer's FIN closes the connection")
    func failureAfterEnd() throws {
        try withPair { pair in
            let server = pair.server
            var ends = 0
            var closes = 0
            server.onEnd = { _, error in
                ends += 1
                #expect(error == nil)
                pair.client.abort()
            }
            pair.client.onClose = { _ in #expect(server.write([1]) == .closed) }
            server.onClose = { _ in closes += 1 }
            server.resumeReading()
            pair.client.endWriting()
            server.loop.run()
            #expect(ends == 1 && closes == 1)
        }
    }

    @Test("a queued write that fails is told once, and bytes queued are freed")
    func queuedWriteFails() throws {
        try withPair { pair in
            let server = pair.server
            var ends = 0
            server.onWritable = { _ in Issue.record("nobody has read anything") }
            server.onEnd = { server, error in
                ends += 1
                #expect(error?.kind == .reset)
                #expect(server.queuedBytes == 0)
                server.close()
            }
            server.onClose = { _ in #expect(ends == 1) }
            flood(server)
            pair.client.abort()
        }
    }

    @Test(
        "an abort drops what is queued and reaches the peer as a reset, even while half-closed",
        arguments: [false, true])
    func abortQueued(isHalfClosed: Bool) throws {
        try withPair { pair in
            flood(pair.server)
            if isHalfClosed { pair.server.endWriting() }
            pair.client.onEnd = { client, error in
                #expect(error?.kind == .reset)
                client.close()
            }
            pair.server.onClose = { _ in pair.client.resumeReading() }
            pair.server.abort()
        }
    }

    @Test("closing inside any callback is the end of all callbacks", arguments: Moment.allCases)
    func closeInside(moment: Moment) throws {
        weak var watched: TCPConnection?
        try withPair { pair in
            let client = pair.client
            watched = client
            var closed = false
            var reached = false
            func check(_ here: Moment, _ connection: TCPConnection) {
                #expect(!closed, "\(here) after the close")
                if here == moment {
                    reached = true
                    closed = true
                    connection.close()
                    connection.abort()
                    #expect(connection.write([1]) == .closed)
                    connection.resumeReading()
                    connection.endWriting()
                    connection.closeAfterWriting()
                }
            }
            client.onRead = { connection, _ in check(.read, connection) }
            client.onWritable = { check(.writable, $0) }
            client.onEnd = { connection, _ in
                check(.end, connection)
                connection.close()
                closed = true
            }
            client.onClose = { connection in
                closed = false
                check(.close, connection)
                #expect(reached && connection.isIdle)
                pair.server.close()
            }
            flood(client)
            client.resumeReading()
            // Answers as soon as it has read something, so that every callback gets its turn.
            pair.server.onRead = { server, _ in
                if server.tag == 0 { server.write([1]) }
                server.tag += 1
            }
            pair.server.onWritable = { _ in }
            pair.server.onEnd = { server, _ in server.close() }
            pair.server.resumeReading()
            if moment == .end || moment == .close {
                client.loop.enqueue {
                    pair.server.write([1])
                    pair.server.abort()
                }
            }
        }
        #expect(watched == nil)
    }

    enum Moment: CaseIterable { case read, writable, end, close }
}

/// Both ends of one connection on a loop of its own, reading paused.
struct Pair {
    let client: TCPConnection
    let server: TCPConnection
}

/// Connects a pair, then runs `body` and whatever it started.
func withPair(
    _ location: SourceLocation = #_sourceLocation, _ body: (Pair) throws -> Void
) throws {
    try withLoop(location) { loop in
        var accepted: TCPConnection?
        var isConnected = false
        let listener = try TCPListener(loop: loop, address: anyPort) { accepted = $0 }
        let client = TCPConnection(loop: loop)
        client.connect(to: listener.localAddress) { _, result in
            #expect(throws: Never.self, sourceLocation: location) { try result.get() }
            isConnected = true
        }
        while accepted == nil || !isConnected { loop.runOnce() }
        listener.close()
        guard let server = accepted else { return }
        accepted = nil
        try body(Pair(client: client, server: server))
        loop.run()
    }
}

/// Writes until more is queued than both kernels together hold.
func flood(_ connection: TCPConnection) {
    let chunk = [UInt8](repeating: 7, count: 1 << 20)
    while connection.queuedBytes < 4 << 20 { connection.write(chunk) }
}
