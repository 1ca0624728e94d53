import Logging
import Pacing
import Reactor
import Testing

@testable import EgressGateway

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
    loop.run()
    watchdog.close()
    #expect(!hung, "still open: \(loop.openHandles)", sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
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

/// Sends one GET on a connection of its own and gives back status and content.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ path: String,
    then: @escaping (_ status: Int, _ head: String, _ body: String) -> Void
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
        let text = String(decoding: received, as: UTF8.self)
        let parts = text.split(
            separator: "\r\n\r\n", maxSplits: 1, omittingEmptySubsequences: false)
        let status = text.split(separator: " ").dropFirst().first.flatMap { Int($0) }
        then(status ?? 0, String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
    }
    connection.connect(to: address, readsAtOnce: true) { connection, result in
        #expect(throws: Never.self) { try result.get() }
        connection.write(
            Array("GET \(path) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".utf8))
    }
}

/// A client with a quick test on a free port.
func client(
    _ loop: EventLoop, target: SocketAddress,
    _ change: (inout EgressClientConfiguration) -> Void = { _ in }
) -> EgressClientService {
    var configuration = EgressClientConfiguration(target: target, start: .measure())
    configuration.listen = anyPort
    configuration.interval = .milliseconds(5)
    change(&configuration)
    // The process of the tests has long been running; the test has not.
    let start = configuration.start.moment
    configuration.testTimeout += loop.now - start
    return EgressClientService(loop: loop, configuration: configuration, logger: silent)
}

/// A target on a free port.
func target(
    _ loop: EventLoop, allowed: String,
    _ change: (inout ExternalTargetConfiguration) -> Void = { _ in }
) throws -> ExternalTargetService {
    var configuration = ExternalTargetConfiguration(
        allowed: [try #require(CIDR(allowed))])
    configuration.listen = anyPort
    change(&configuration)
    return ExternalTargetService(loop: loop, configuration: configuration, logger: silent)
}
