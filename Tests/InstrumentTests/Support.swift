import Logging
import Pacing
import Reactor
import Testing

@testable import Instrument

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

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

/// One request, on a connection of its own.
struct Ask {
    var method = "GET"
    var path: String
    var body = ""
}

/// Sends requests one after the other and hands all answers to `then`.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ requests: [Ask],
    then: @escaping (_ answers: [(status: Int, body: String)]) -> Void
) {
    var answers: [(status: Int, body: String)] = []
    func next(_ left: ArraySlice<Ask>) {
        guard let request = left.first else { return then(answers) }
        send(loop, address, request) {
            answers.append($0)
            next(left.dropFirst())
        }
    }
    next(requests[...])
}

private func send(
    _ loop: EventLoop, _ address: SocketAddress?, _ request: Ask,
    then: @escaping ((status: Int, body: String)) -> Void
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
        then((status ?? 0, parts.count > 1 ? String(parts[1]) : ""))
    }
    connection.connect(to: address, readsAtOnce: true) { connection, result in
        #expect(throws: Never.self) { try result.get() }
        connection.write(
            Array(
                """
                \(request.method) \(request.path) HTTP/1.1\r\nHost: test\r\n\
                Connection: close\r\nContent-Length: \(request.body.utf8.count)\r\n\r\n\
                \(request.body)
                """.utf8))
    }
}
