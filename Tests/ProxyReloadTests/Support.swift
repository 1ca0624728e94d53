import Foundation
import Pacing
import Reactor
@_exported import TestSupport
import Testing

@testable import ProxyReload

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
        case bytes(String), raw([UInt8]), close, reset, silence
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
                    case .raw(let bytes): connection.write(bytes)
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

/// One GET, and all of its answer.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ path: String,
    then: @escaping (String) -> Void
) {
    ask(loop, address, "GET", path) { then($0.text) }
}
