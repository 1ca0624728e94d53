import Logging
import Pacing
import Reactor
import Testing

@testable import LongLived

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
let anyPort = SocketAddress(.loopbackV4, port: 0)

/// Runs a test on a loop of its own and proves that it leaves nothing open. The watchdog ends a run
/// that hangs; it is no timing assertion.
func withLoop(
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
    if !hung { loop.run() }
    watchdog.close()
    #expect(!hung, "still open: \(loop.openHandles)", sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
}

/// A server on a free port.
func server(
    _ loop: EventLoop, _ podID: String,
    _ change: (inout DelayingServerConfiguration) -> Void = { _ in }
) throws -> DelayingServer {
    var configuration = DelayingServerConfiguration(podID: podID)
    configuration.listen = anyPort
    configuration.delay = .milliseconds(1) ... .milliseconds(5)
    change(&configuration)
    let server = DelayingServer(loop: loop, configuration: configuration, logger: silent)
    try server.start()
    return server
}

/// A client that holds connections to `address` without pauses; it has not begun.
func client(
    _ loop: EventLoop, _ address: SocketAddress?, lines: ((String) -> Void)? = nil,
    _ change: (inout HoldClientConfiguration) -> Void, onEnd: @escaping () -> Void
) throws -> HoldClient {
    let target = try #require(address.flatMap { HoldTarget("http://\($0)/") })
    var configuration = HoldClientConfiguration(target: target)
    configuration.think = .zero ... .milliseconds(2)
    change(&configuration)
    return HoldClient(
        loop: loop, configuration: configuration,
        onLine: lines.map { lines in { lines(String(decoding: $0, as: UTF8.self)) } },
        onTick: {}, onEnd: onEnd)
}

/// Calls `then` once `condition` holds, looking after every few milliseconds of the loop's time.
func when(_ loop: EventLoop, _ condition: @escaping () -> Bool, then: @escaping () -> Void) {
    var timer: Timer?
    timer = Timer(loop: loop) {
        guard condition() else {
            timer?.schedule(after: .milliseconds(2))
            return
        }
        timer?.close()
        timer = nil
        then()
    }
    timer?.schedule(after: .zero)
}

/// Sends one GET on a connection of its own and gives back what comes.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ path: String,
    then: @escaping (String) -> Void
) {
    guard let address else {
        Issue.record("nobody listens")
        return
    }
    let connection = TCPConnection(loop: loop)
    var received: [UInt8] = []
    connection.onRead = { received += $1 }
    connection.onEnd = { connection, _ in
        connection.close()
        then(String(decoding: received, as: UTF8.self))
    }
    connection.connect(to: address, readsAtOnce: true) { connection, result in
        #expect(throws: Never.self) { try result.get() }
        connection.write(
            Array("GET \(path) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".utf8))
    }
}
