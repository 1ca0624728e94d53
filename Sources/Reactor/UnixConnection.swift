import CLibuv

/// A connection over a Unix socket (unix(7)), accepted or made by ``connect(to:completion:)``; its
/// states are those of a ``StreamConnection``.
///
/// A socket is named by its path, or, with a leading `@`, by an abstract name of Linux, which has
/// no file and goes with its listener.
public final class UnixConnection: StreamConnection, ByteStream {
    private var completion: ((UnixConnection, Result<Void, UVError>) -> Void)?

    /// The name of the listener's socket; nil while idle.
    public private(set) var path: String?
    /// Unix sockets have names instead; see ``path``.
    public var peerAddress: SocketAddress? { nil }
    /// Unix sockets have names instead; see ``path``.
    public var localAddress: SocketAddress? { nil }

    /// See ``ByteStream``.
    public var onRead: ((UnixConnection, UnsafeRawBufferPointer) -> Void)?
    /// See ``ByteStream``; the peer's reset is that of one that closed with bytes unread.
    public var onEnd: ((UnixConnection, UVError?) -> Void)?
    /// See ``ByteStream``.
    public var onWritable: ((UnixConnection) -> Void)?
    /// The connection is idle again: descriptor and memory are free.
    public var onClose: ((UnixConnection) -> Void)?

    private var pipe: UnsafeMutablePointer<uv_pipe_t> { handle.raw.baseOf(uv_pipe_t.self) }

    /// An idle connection: memory, and no descriptor yet.
    public init(loop: EventLoop) {
        super.init(loop: loop, kind: uv_pipe_t.self)
    }

    /// Connects. The connection must be idle.
    ///
    /// The kernel answers at once, so there is no deadline to set: `connect /run/x.sock: no such
    /// file or directory`, and `resource temporarily unavailable` where too many wait already.
    ///
    /// - Parameters:
    ///   - path: of the listener's socket, or `@` and its abstract name.
    ///   - completion: called once, never before this call has returned, unless
    ///     ``StreamConnection/close()`` comes first. After a failure the connection closes itself.
    public func connect(
        to path: String,
        completion: @escaping (UnixConnection, Result<Void, UVError>) -> Void
    ) {
        precondition(isIdle, "connect needs an idle connection")
        self.completion = completion
        self.path = path
        uv_pipe_init(loop.raw, pipe, 0)
        begin(.connecting)
        var name = path
        let descriptor = name.withUTF8 { sonde_unix_connect($0.baseAddress, $0.count) }
        let code = descriptor < 0 ? descriptor : uv_pipe_open(pipe, descriptor)
        if code < 0, descriptor >= 0 { _ = sonde_close(descriptor) }
        connectsLater(code < 0 ? .failure(failure("connect", code)) : .success(()))
    }

    /// Takes over an accepted descriptor; false when libuv cannot have it.
    func adopt(_ descriptor: Int32, path: String) -> Bool {
        precondition(isIdle, "adopt needs an idle connection")
        uv_pipe_init(loop.raw, pipe, 0)
        let code = uv_pipe_open(pipe, descriptor)
        begin(.open)
        self.path = path
        if code < 0 { close() }
        return code >= 0
    }

    // MARK: - As a StreamConnection

    override func tellRead(_ bytes: UnsafeRawBufferPointer) { onRead?(self, bytes) }

    override func tellEnd(_ error: UVError?) -> Bool {
        guard let onEnd else { return false }
        onEnd(self, error)
        return true
    }

    override func tellWritable() { onWritable?(self) }

    override func tellClosed() {
        path = nil
        let onClose = self.onClose
        self.onClose = nil
        onClose?(self)
    }

    override func tellConnected(_ result: Result<Void, UVError>) {
        let completion = self.completion
        self.completion = nil
        if case .success = result {
            completion?(self, result)
        } else {
            failed { completion?(self, result) }
        }
    }

    override func dropCallbacks() {
        (completion, onRead, onEnd, onWritable) = (nil, nil, nil, nil)
    }

    override func failure(_ operation: String, _ code: Int32) -> UVError {
        UVError(operation: path.map { "\(operation) \($0)" } ?? operation, code: code)
    }
}
