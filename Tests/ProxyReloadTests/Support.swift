import Foundation
import Logging
import Pacing
import Reactor
import Testing

@testable import ProxyReload

let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
let anyPort = SocketAddress(.loopbackV4, port: 0)

/// Runs a test on a loop of its own and proves that it leaves nothing open. The watchdog ends a run
/// that hangs; it is no timing assertion.
func withLoop(
    _ location: SourceLocation = #_sourceLocation, _ body: (EventLoop) throws -> Void
) throws {
    let loop = try EventLoop()
    var hung = false
    let watchdog = Reactor.Timer(loop: loop) {
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
    var timer: Reactor.Timer?
    timer = Reactor.Timer(loop: loop) {
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

/// A folder of its own that goes when the test does.
final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/sonde-reload-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func path(_ name: String) -> String { "\(path)/\(name)" }
}

/// The rows of a recording, read back without the product's help.
struct Recording {
    var rows: [[String]] = []

    init(_ path: String) throws {
        let data = try #require(FileManager.default.contents(atPath: path))
        var lines = String(decoding: data, as: UTF8.self).components(separatedBy: "\n")
        #expect(lines.removeLast().isEmpty, "the last row is whole")
        #expect(
            lines.first == "time,client,status,instance,front port,back port,latency,event")
        rows = lines.dropFirst().map { $0.components(separatedBy: ",") }
        #expect(rows.allSatisfy { $0.count == 8 })
    }

    /// How often a column differs from that client's last known value.
    func changes(_ column: Int) -> Int {
        var last: [String: String] = [:]
        return rows.count { row in
            guard !row[column].isEmpty else { return false }
            let before = last.updateValue(row[column], forKey: row[1])
            return before != nil && before != row[column]
        }
    }

    var aggregateLine: String {
        let successes = rows.count { $0[2] == "200" }
        return "success: \(successes) failure: \(rows.count - successes) "
            + "front changed: \(changes(4)) back changed: \(changes(5))"
    }
}

/// A backend on a free port.
func backend(
    _ loop: EventLoop, _ name: String = "a",
    _ change: (inout BackendConfiguration) -> Void = { _ in }
) throws -> BackendService {
    var configuration = BackendConfiguration(identifier: name, listen: anyPort)
    change(&configuration)
    let backend = BackendService(loop: loop, configuration: configuration, logger: silent)
    try backend.start()
    return backend
}

/// A bench on its way to `address`; `done` gets its report.
@discardableResult
func bench(
    _ loop: EventLoop, _ address: SocketAddress?, csv: String? = nil,
    _ change: (inout BenchConfiguration) -> Void = { _ in },
    done: @escaping (BenchReport) -> Void
) throws -> Bench {
    let url = try BenchURL("http://\(try #require(address))/path?query")
    var configuration = BenchConfiguration(url: url)
    configuration.csvPath = csv
    configuration.clients = 3
    change(&configuration)
    var held: Bench?
    weak var watched: Bench?
    let bench = Bench(loop: loop, configuration: configuration) { result in
        _ = held
        held = nil
        loop.enqueue { loop.enqueue { #expect(watched == nil, "the bench holds itself") } }
        switch result {
        case .success(let report): done(report)
        case .failure(let failure): Issue.record("\(failure)")
        }
    }
    held = bench
    watched = bench
    do { try bench.start() } catch {
        held = nil
        throw error
    }
    return bench
}

/// A peer that does what it is told to with each connection, and with each request on it.
final class ScriptedPeer {
    enum Answer {
        case bytes(String), close, reset, silence
    }

    private var listener: TCPListener?
    private var connections: [TCPConnection] = []
    private(set) var accepted = 0
    private(set) var requests = 0

    var address: SocketAddress? { listener?.localAddress }

    /// - Parameter answer: gets the connection's and the request's number, from zero.
    init(
        _ loop: EventLoop, on address: SocketAddress = anyPort,
        answer: @escaping (_ connection: Int, _ request: Int) -> Answer
    ) throws {
        listener = try TCPListener(loop: loop, address: address) { [unowned self] connection in
            let number = accepted
            accepted += 1
            connections.append(connection)
            var pending = ""
            var own = 0
            connection.onRead = { [unowned self] connection, bytes in
                pending += String(decoding: bytes, as: UTF8.self)
                while let end = pending.range(of: "\r\n\r\n") {
                    pending.removeSubrange(..<end.upperBound)
                    requests += 1
                    let next = answer(number, own)
                    own += 1
                    switch next {
                    case .bytes(let text): connection.write(Array(text.utf8))
                    case .close: return connection.close()
                    case .reset: return connection.abort()
                    case .silence: break
                    }
                }
            }
            connection.resumeReading()
        }
    }

    func close() {
        listener?.close()
        listener = nil
        for connection in connections { connection.abort() }
        connections = []
    }
}

func response(
    _ status: String = "200 OK", id: String = "x", port: Int = 77, extra: String = ""
) -> String {
    "HTTP/1.1 \(status)\r\nBackend-Id: \(id)\r\nSource-Port: \(port)\r\n"
        + "\(extra)Content-Length: 2\r\n\r\nok"
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
