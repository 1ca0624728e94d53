import Pacing
import Reactor
import Testing

/// Runs a test on a loop of its own: starts it, runs until nothing is open, and proves that no
/// handle was left. A watchdog ends a run that hangs; it is not a timing assertion.
func withLoop(
    _ location: SourceLocation = #_sourceLocation, _ body: (EventLoop) throws -> Void
) throws {
    let loop = try EventLoop()
    var hung = false
    let watchdog = Timer(loop: loop) {
        hung = true
        loop.stop()
    }
    watchdog.schedule(after: .seconds(20))
    watchdog.setKeepsLoopAlive(false)
    try body(loop)
    loop.run()
    watchdog.close()
    #expect(!hung, "still open: \(loop.openHandles)", sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
}

let anyPort = SocketAddress(.loopbackV4, port: 0)

/// Sends every byte back and closes after the peer's FIN.
func echo(_ connection: TCPConnection) {
    connection.onRead = { $0.write($1) }
    connection.onEnd = { connection, _ in connection.closeAfterWriting() }
    connection.resumeReading()
}
