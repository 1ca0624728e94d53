import CLibuv
import Pacing

/// A TCP connection, accepted or made by ``connect(to:from:deadline:readsAtOnce:completion:)``;
/// its states are those of a ``StreamConnection``.
///
/// Callbacks get the connection as their first argument, so that one closure can serve thousands of
/// connections without capturing any of them (``StreamConnection/context`` and
/// ``StreamConnection/tag`` tell whose it is). All but ``onClose`` are dropped by
/// ``StreamConnection/close()``; nothing is called from inside the call that causes it.
public final class TCPConnection: StreamConnection {
    private var connectDeadline: (DeadlineClass<TCPConnection>, DeadlineToken)?
    private var completion: ((TCPConnection, Result<Void, UVError>) -> Void)?

    /// The other end; known from the start of a connect, nil while idle.
    public private(set) var peerAddress: SocketAddress?

    /// Gets bytes as they arrive, borrowed for the length of the call. Reading starts paused.
    public var onRead: ((TCPConnection, UnsafeRawBufferPointer) -> Void)? {
        get { reader }
        set { reader = newValue }
    }
    /// Not seen from outside, as `StreamConnection.queued`.
    private var reader: ((TCPConnection, UnsafeRawBufferPointer) -> Void)?
    /// The peer sends no more: nil for its FIN, else the reason. Called once; without it the
    /// connection closes itself, as it does when a write fails after this.
    public var onEnd: ((TCPConnection, UVError?) -> Void)?
    /// Writing may go on after ``StreamConnection/write(_:)`` answered `backpressured`.
    public var onWritable: ((TCPConnection) -> Void)?
    /// The connection is idle again: descriptor and memory are free.
    public var onClose: ((TCPConnection) -> Void)?

    /// An idle connection: memory, and no descriptor yet.
    public init(loop: EventLoop) {
        super.init(loop: loop, kind: uv_tcp_t.self)
    }

    /// The own end of an established connection.
    public var localAddress: SocketAddress? {
        guard state == .open else { return nil }
        return SocketAddress.read { storage in
            var length = Int32(MemoryLayout<sockaddr_storage>.size)
            return storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                uv_tcp_getsockname(tcp, $0, &length)
            }
        }
    }

    /// How many segments the kernel had to send again so far, the SYN included; nil where it does
    /// not say (Linux: `TCP_INFO`).
    public var retransmissions: Int? {
        guard state == .open, let descriptor else { return nil }
        let count = sonde_retransmissions(descriptor)
        return count < 0 ? nil : Int(count)
    }

    /// Has the kernel ask an idle peer whether it is still there, so that one that vanished without
    /// a word is noticed.
    ///
    /// - Parameters:
    ///   - idle: silence before the first question; whole seconds, at least one.
    ///   - interval: between two questions; whole seconds, at least one.
    ///   - count: questions without an answer until the connection is given up.
    public func keepAlive(after idle: Duration, every interval: Duration, count: Int) {
        guard state == .open, let descriptor else { return }
        func seconds(_ time: Duration) -> Int32 {
            Int32(clamping: max(time.nanoseconds / 1_000_000_000, 1))
        }
        _ = sonde_keep_alive(
            descriptor, seconds(idle), seconds(interval), Int32(clamping: max(count, 1)))
    }

    /// Connects. The connection must be idle.
    ///
    /// - Parameters:
    ///   - source: the own address; with port 0 the kernel picks the port when it connects, so that
    ///     every source address offers all ports for each target.
    ///   - deadline: how long to try; the kernel's own limit is about two minutes.
    ///   - readsAtOnce: reading is not paused at first; saves a system call.
    ///   - completion: called once, never before this call has returned, unless
    ///     ``StreamConnection/close()`` comes first. After a failure the connection closes itself.
    public func connect(
        to target: SocketAddress, from source: SocketAddress? = nil, deadline: Duration? = nil,
        readsAtOnce: Bool = false,
        completion: @escaping (TCPConnection, Result<Void, UVError>) -> Void
    ) {
        precondition(state == .idle, "connect needs an idle connection")
        self.completion = completion
        peerAddress = target
        begin(.connecting)
        do throws(UVError) {
            try openSocket(from: source)
            let request = loop.takeConnectRequest()
            let code = target.withSockaddr {
                uv_tcp_connect(request, tcp, $0) { request, status in
                    guard let request else { return }
                    request.pointee.handle.withOwner(TCPConnection.self) {
                        $0.loop.giveBack(request)
                        $0.connected(status)
                    }
                }
            }
            if code < 0 { loop.giveBack(request) }
            try UVError.check(code, "connect", target)
            if readsAtOnce { startReading() }
            if let deadline {
                connectDeadline = loop.startConnectDeadline(deadline, for: self)
            }
        } catch {
            connectsLater(.failure(error))
        }
    }

    // MARK: - Inside the room

    private var tcp: UnsafeMutablePointer<uv_tcp_t> { handle.raw.baseOf(uv_tcp_t.self) }

    /// Takes over an accepted descriptor; false when libuv cannot have it.
    func adopt(_ descriptor: Int32, peer: SocketAddress?) -> Bool {
        precondition(state == .idle, "adopt needs an idle connection")
        uv_tcp_init(loop.raw, tcp)
        let code = uv_tcp_open(tcp, descriptor)
        begin(.open)
        if code < 0 {
            close()
            return false
        }
        peerAddress = peer
        return true
    }

    func connectDeadlinePassed() {
        connectDeadline = nil
        guard state == .connecting else { return }
        tellConnected(.failure(failure("connect", UV_ETIMEDOUT.rawValue)))
    }

    private func openSocket(from source: SocketAddress?) throws(UVError) {
        let data = tcp.pointee.data
        uv_tcp_init(loop.raw, tcp)
        tcp.pointee.data = data
        guard let source else { return }
        // Bound by hand on a descriptor of our own: libuv binds the port at once, while the kernel
        // can leave it open until the target is known.
        let descriptor = source.withSockaddr {
            sonde_bound_socket($0, source.port == 0 ? 1 : 0)
        }
        try UVError.check(descriptor, "bind", source)
        let code = uv_tcp_open(tcp, descriptor)
        if code < 0 { _ = sonde_close(descriptor) }
        try UVError.check(code, "bind", source)
    }

    private func cancelConnectDeadline() {
        guard let (deadlines, token) = connectDeadline else { return }
        connectDeadline = nil
        deadlines.cancel(token)
    }

    // MARK: - As a StreamConnection

    override func tellRead(_ bytes: UnsafeRawBufferPointer) { reader?(self, bytes) }

    override func tellEnd(_ error: UVError?) -> Bool {
        guard let onEnd else { return false }
        onEnd(self, error)
        return true
    }

    override func tellWritable() { onWritable?(self) }

    override func tellClosed() {
        peerAddress = nil
        let onClose = self.onClose
        self.onClose = nil
        onClose?(self)
    }

    override func tellConnected(_ result: Result<Void, UVError>) {
        cancelConnectDeadline()
        let completion = self.completion
        self.completion = nil
        if case .success = result {
            delaysSmallWrites = true
            completion?(self, result)
        } else {
            failed { completion?(self, result) }
        }
    }

    override func dropCallbacks() {
        cancelConnectDeadline()
        (completion, reader, onEnd, onWritable) = (nil, nil, nil, nil)
    }

    override func stopDelayingWrites() { uv_tcp_nodelay(tcp, 1) }

    override func failure(_ operation: String, _ code: Int32) -> UVError {
        UVError(operation: operation, code: code, address: peerAddress)
    }
}
