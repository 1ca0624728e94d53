import Pacing
import Reactor
import Testing

/// A response as it came, by no parser of ours.
public struct Answer {
    /// 0 where no status can be read.
    public var status = 0
    /// Status line and header, without the empty line that ends them.
    public var head = ""
    /// What follows the head, however it is framed.
    public var body = ""
    /// All of it.
    public var text = ""

    public init(_ bytes: [UInt8]) {
        text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return }
        head = String(text[..<end.lowerBound])
        body = String(text[end.upperBound...])
        status = head.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }
}

/// Sends one request on a connection of its own and gives back what came until its end.
public func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ method: String, _ path: String,
    body: String = "", _ location: SourceLocation = #_sourceLocation,
    then: @escaping (Answer) -> Void
) {
    guard let address else {
        Issue.record("nobody listens", sourceLocation: location)
        return
    }
    let connection = TCPConnection(loop: loop)
    var received: [UInt8] = []
    connection.onRead = { received += $1 }
    connection.onEnd = { connection, _ in
        connection.close()
        then(Answer(received))
    }
    connection.connect(to: address, readsAtOnce: true) { connection, result in
        if case .failure(let error) = result {
            Issue.record("\(address) cannot be asked: \(error)", sourceLocation: location)
            return connection.close()
        }
        connection.write(
            Array(
                """
                \(method) \(path) HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
                Content-Length: \(body.utf8.count)\r\n\r\n\(body)
                """.utf8))
    }
}
