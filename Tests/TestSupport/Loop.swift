import Logging
import Pacing
import Reactor
import Testing

/// A free port of this machine's, for whoever listens.
public let anyPort = SocketAddress(.loopbackV4, port: 0)

/// For roles whose log no test reads; ``LogCollector`` keeps it.
public let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Runs a test on a loop of its own until nothing is open, and proves that it leaves no handle.
/// The watchdog ends a run that hangs; it is no timing assertion.
public func withLoop(
    _ location: SourceLocation = #_sourceLocation, _ body: (EventLoop) throws -> Void
) throws {
    let loop = try EventLoop()
    var hung = false
    let watchdog = Timer(loop: loop) {
        hung = true
        loop.stop()
    }
    watchdog.setKeepsLoopAlive(false)
    watchdog.schedule(after: .seconds(30))
    try body(loop)
    // A body that ran the loop itself may have met the watchdog already.
    if !hung { loop.run() }
    watchdog.close()
    #expect(!hung, "still open: \(loop.openHandles)", sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
}

/// The same under virtual time, where a test takes as long as its work: the body may let time pass
/// itself; what is left then happens until nothing is open.
public func withVirtualLoop(
    _ location: SourceLocation = #_sourceLocation, _ body: (EventLoop) throws -> Void
) throws {
    let loop = try EventLoop.virtual()
    try body(loop)
    var hung = false
    let watchdog = Timer(loop: loop) {
        hung = true
        loop.stop()
    }
    watchdog.setKeepsLoopAlive(false)
    watchdog.schedule(after: .seconds(86_400))
    loop.run()
    watchdog.close()
    #expect(!hung, "still open after a day: \(loop.openHandles)", sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
}

/// Calls `then` once `condition` holds, looking after every millisecond of the loop's time.
public func when(
    _ loop: EventLoop, _ condition: @escaping () -> Bool, then: @escaping () -> Void
) {
    var timer: Timer?
    timer = Timer(loop: loop) {
        guard condition() else {
            timer?.schedule(after: .milliseconds(1))
            return
        }
        timer?.close()
        timer = nil
        then()
    }
    timer?.schedule(after: .zero)
}

extension EventLoop {
    /// ``when(_:_:then:)`` under its older name.
    public func pollUntil(_ condition: @escaping () -> Bool, _ body: @escaping () -> Void) {
        TestSupport.when(self, condition, then: body)
    }
}

/// A port on which nobody listens now.
public func freePort(_ loop: EventLoop) throws -> UInt16 {
    let listener = try TCPListener(loop: loop, address: anyPort) { $0.close() }
    defer { listener.close() }
    return listener.localAddress.port
}
