import Pacing
import Reactor
import Testing

@testable import HTTP

/// A peer of a server under virtual time, over a path in memory: it speaks bytes, and notes when
/// what came.
final class VirtualPeer {
    let loop: EventLoop
    let stream: MemoryStream
    private(set) var received = ""
    /// When the connection ended, counted from its beginning; nil while it goes on.
    private(set) var endedAt: Duration?
    /// Whether it was broken off.
    private(set) var wasReset = false
    /// Whether it leaves its side open when the server ends.
    var keepsOpen = false
    private let began: Instant

    /// - Parameters:
    ///   - answers: what lies between the server and this peer, for the server's answers.
    ///   - isReading: false leaves what the server sends on the path.
    init(
        _ server: HTTPServer, answers: MemoryStream.Path = MemoryStream.Path(),
        isReading: Bool = true
    ) {
        loop = server.loop
        began = loop.now
        let (own, other) = MemoryStream.pair(on: loop)
        stream = own
        other.outgoing = answers
        server.serve(other)
        // Until the connection has ended, which lets go of them.
        stream.onRead = { [self] in received += String(decoding: $1, as: UTF8.self) }
        stream.onEnd = { [self] in
            endedAt = loop.now - began
            wasReset = $1 != nil
            if !keepsOpen || wasReset { $0.close() }
        }
        if isReading { stream.resumeReading() }
    }

    func send(_ text: String) {
        stream.write(Array(text.utf8))
        loop.settle()
    }

    /// Sends `text` again and again, each time after `pause`, until the connection ends.
    func trickle(_ text: String, every pause: Duration, atMost count: Int) {
        for _ in 0..<count where endedAt == nil {
            loop.advance(by: pause)
            send(text)
        }
    }

    /// How many of the lines that it received begin so.
    func count(_ beginning: String) -> Int {
        received.utf8.split(separator: UInt8(ascii: "\n"))
            .count { $0.starts(with: beginning.utf8) }
    }
}

/// Runs a test with a server under virtual time, and proves that nothing of it is left.
func withVirtualServer(
    _ configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    _ location: SourceLocation = #_sourceLocation,
    handler: @escaping HTTPServer.Handler = { $1.respond(status: 204) },
    _ body: (EventLoop, HTTPServer) throws -> Void
) throws {
    let loop = try EventLoop.virtual()
    let server = HTTPServer(loop: loop, configuration: configuration, handler: handler)
    try body(loop, server)
    server.close()
    // What its peers still have open closes when they hear of that.
    loop.advance(by: .seconds(3600))
    #expect(server.connectionCount == 0, sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
}
