import Reactor

/// A client's connection over a stream of one kind.
final class StreamClientConnection<Stream: ByteStream>: ClientConnection {
    private let stream: Stream

    /// - Parameter stream: open, and nobody else's.
    init(_ stream: Stream, client: HTTPClient, origin: Origin) {
        self.stream = stream
        super.init(client: client, origin: origin)
        stream.context = self
        stream.onRead = { ($0.context as? ClientConnection)?.received($1) }
        stream.onEnd = { ($0.context as? ClientConnection)?.ended($1) }
        stream.resumeReading()
    }

    override func send(_ bytes: [UInt8]) { stream.write(bytes) }

    override func readStream(_ isOn: Bool) {
        if isOn { stream.resumeReading() } else { stream.pauseReading() }
    }

    override func closeStream() { stream.close() }
}
