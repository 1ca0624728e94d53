import Reactor

/// A server's connection over a stream of one kind.
final class StreamServerConnection<Stream: ByteStream>: ServerConnection {
    let stream: Stream

    init(_ stream: Stream, server: HTTPServer) {
        self.stream = stream
        super.init(server: server)
    }

    func start() {
        stream.context = self
        stream.onRead = { stream, bytes in
            guard let context = stream.context else { return }
            unsafeDowncast(context, to: ServerConnection.self).received(bytes)
        }
        stream.onEnd = { stream, failure in
            guard let context = stream.context else { return }
            unsafeDowncast(context, to: ServerConnection.self).ended(failure)
        }
        stream.onWritable = { stream in
            guard let context = stream.context else { return }
            unsafeDowncast(context, to: ServerConnection.self).writable()
        }
        stream.onClose = { [server] stream in server.closed(at: stream.tag) }
        decide { $0.start() }
    }

    override var index: Int {
        get { stream.tag }
        set { stream.tag = newValue }
    }
    override var peerAddress: SocketAddress? { stream.peerAddress }
    override var localAddress: SocketAddress? { stream.localAddress }
    override var isSecure: Bool { stream.isSecure }
    override var unreadBytes: Int { stream.unreadBytes }
    override var takenBytes: Int64 { stream.takenBytes }

    override func send(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome { stream.write(bytes) }

    override func readStream(_ isOn: Bool) {
        if isOn { stream.resumeReading() } else { stream.pauseReading() }
    }

    override func endStream() { stream.endWriting() }

    override func closeStreamAfterWriting() -> Bool {
        stream.closeAfterWriting()
        return stream.isOpen
    }

    override func closeStream() { stream.close() }

    override func abortStream() { stream.abort() }
}
