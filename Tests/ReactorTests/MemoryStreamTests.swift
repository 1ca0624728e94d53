import Pacing
import Reactor
import Testing

/// What a path in memory does at its test's will. That it is a stream as any other, the contract
/// says.
@Suite struct MemoryStreamTests {
    private func withMemory(
        seed: UInt64 = 1, _ body: (EventLoop, MemoryStream, MemoryStream) -> Void
    ) throws {
        try withVirtualLoop { loop in
            let (client, server) = MemoryStream.pair(on: loop, seed: seed)
            body(loop, client, server)
            client.close()
            server.close()
        }
    }

    @Test("bytes take their latency, and a slow path brings them at its rate, to the byte")
    func delays() throws {
        try withMemory { loop, client, server in
            let start = loop.now
            var got = 0
            server.onRead = { got += $1.count }
            server.resumeReading()
            client.outgoing.latency = .milliseconds(250)...(.milliseconds(250))
            client.outgoing.bytesPerSecond = 1000
            client.write([UInt8](repeating: 0, count: 10_000))
            loop.advance(to: start + .milliseconds(250) + .milliseconds(99))
            #expect(got == 0)
            loop.advance(by: .milliseconds(1))
            #expect(got == 100)
            loop.advance(to: start + .milliseconds(5250))
            #expect(got == 5000)
            loop.advance(to: start + .milliseconds(10_250))
            #expect(got == 10_000)
        }
    }

    @Test("each direction has a path of its own, and jitter keeps bytes in order")
    func directions() throws {
        try withMemory { loop, client, server in
            var (asked, answered): ([UInt8], [UInt8]) = ([], [])
            var moments: Set<Instant> = []
            server.onRead = {
                asked += $1; moments.insert(loop.now)
            }
            client.onRead = { answered += $1 }
            server.resumeReading()
            client.resumeReading()
            client.outgoing.latency = .zero ... .milliseconds(100)
            for byte in 0..<50 as Range<UInt8> { client.write([byte]) }
            server.write([1])
            loop.settle()
            #expect(answered == [1] && asked.count < 50)
            loop.advance(by: .milliseconds(100))
            #expect(asked == Array(0..<50) && moments.count > 2)
        }
    }

    @Test("a clogged path takes nothing: bytes wait with the writer, and go when it opens")
    func clogged() throws {
        try withMemory { loop, client, server in
            var (got, writables) = (0, 0)
            server.onRead = { got += $1.count }
            server.resumeReading()
            client.onWritable = { _ in writables += 1 }
            client.isClogged = true
            #expect(client.write([UInt8](repeating: 0, count: 200_000)) == .flowing)
            #expect(client.write([UInt8](repeating: 0, count: 200_000)) == .backpressured)
            client.endWriting()
            loop.advance(by: .seconds(3600))
            #expect(client.unsentBytes == 400_000 && got == 0 && writables == 0)
            client.isClogged = false
            #expect(writables == 0 && got == 0, "called from inside the call")
            loop.settle()
            #expect(client.unsentBytes == 0 && got == 400_000 && writables == 1)
        }
    }

    @Test("a path holds its capacity, and the writer's count falls by what the reader reads")
    func capacity() throws {
        try withMemory { loop, client, server in
            client.outgoing.capacity = 1000
            client.outgoing.pieces = 1...10
            client.write([UInt8](repeating: 0, count: 1500))
            loop.settle()
            #expect(client.unsentBytes == 500 && server.unreadBytes == 1000)
            server.onRead = { server, _ in server.pauseReading() }
            server.resumeReading()
            loop.settle()
            let read = 1000 - server.unreadBytes
            #expect((1...10).contains(500 - client.unsentBytes) || read == 0)
            #expect(client.unsentBytes < 500)
        }
    }

    @Test(
        "an abort takes with it what has not left yet, a close does not", arguments: [true, false])
    func leaves(aborts: Bool) throws {
        try withMemory { loop, client, server in
            var (got, end) = (0, "")
            server.onRead = { got += $1.count }
            server.onEnd = { end = $1.map { "\($0)" } ?? "end" }
            server.resumeReading()
            client.outgoing.bytesPerSecond = 1000
            client.outgoing.latency = .seconds(1)...(.seconds(1))
            client.write([UInt8](repeating: 0, count: 1000))
            loop.advance(by: .milliseconds(500))
            if aborts { client.abort() } else { client.close() }
            loop.advance(by: .seconds(3))
            #expect(got == (aborts ? 500 : 1000))
            #expect(end == (aborts ? "read from: connection reset by peer" : "end"))
        }
    }

    @Test("bytes on their way to an end that closes bring its peer a reset, when they get there")
    func crossing() throws {
        try withMemory { loop, client, server in
            var told: [String] = []
            client.outgoing.latency = .milliseconds(100)...(.milliseconds(100))
            server.outgoing.latency = .milliseconds(10)...(.milliseconds(10))
            client.onEnd = { client, error in told.append(error == nil ? "end" : "reset") }
            client.onClose = { _ in told.append("closed") }
            client.resumeReading()
            client.write([1])
            server.close()
            loop.advance(by: .milliseconds(109))
            #expect(told == ["end"] && client.write([2]) == .flowing)
            loop.advance(by: .milliseconds(1))
            #expect(client.write([3]) == .closed)
            loop.settle()
            #expect(told == ["end", "closed"])
        }
    }

    @Test("everything random follows from the seed")
    func seeds() throws {
        func pieces(_ seed: UInt64) throws -> [Int] {
            var pieces: [Int] = []
            try withMemory(seed: seed) { loop, client, server in
                client.outgoing.pieces = 1...50
                server.onRead = { pieces.append($1.count) }
                server.resumeReading()
                client.write([UInt8](repeating: 0, count: 1000))
                loop.settle()
            }
            #expect(pieces.reduce(0, +) == 1000 && pieces.allSatisfy { $0 <= 50 })
            return pieces
        }
        #expect(try pieces(3) == pieces(3))
        #expect(try pieces(3) != pieces(4))
    }

    @Test("it carries bytes on a real loop as well")
    func real() throws {
        try withLoop { loop in
            let (client, server) = MemoryStream.pair(on: loop, seed: 1)
            var got: [UInt8] = []
            server.onRead = { got += $1 }
            server.onEnd = { server, _ in
                #expect(got == [1, 2, 3])
                server.close()
            }
            server.resumeReading()
            client.write([1, 2, 3])
            client.closeAfterWriting()
        }
    }
}
