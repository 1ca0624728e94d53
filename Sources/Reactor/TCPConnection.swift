import CLibuv
import Pacing

/// A TCP connection, accepted or made by ``connect(to:from:deadline:completion:)``.
///
///     state       event                     next state   callback
///     idle        connect                   connecting   –
///     idle        adopt (accepted)          open         –
///     connecting  established               open         completion(success)
///     connecting  refused, deadline, …      closing      completion(failure)
///     connecting  close                     closing      – (the completion is dropped)
///     open        peer's FIN, reset         open         onEnd, once
///     open        a write fails             open         onEnd, after what can still be read
///     open        … after onEnd             closing      –
///     open        close, abort              closing      –
///     closing     libuv is done with it     idle         onClose
///
/// Back in `idle` the object may connect again: a probe that runs all day reuses its memory.
/// Callbacks get the connection as their first argument, so that one closure can serve thousands of
/// connections without capturing any of them (``context`` and ``tag`` tell whose it is). All but
/// ``onClose`` are dropped by ``close()``; nothing is called from inside the call that causes it.
public final class TCPConnection {
    enum State: UInt8 { case idle, connecting, open, closing }

    /// The loop it lives on.
    public let loop: EventLoop
    let handle: UnsafeMutablePointer<uv_tcp_t>
    private var connectDeadline: (DeadlineClass<TCPConnection>, DeadlineToken)?
    private var completion: ((TCPConnection, Result<Void, UVError>) -> Void)?

    private(set) var state = State.idle
    private(set) var isReading = false
    private(set) var hasEnded = false
    /// Whether ``write(_:)`` said `backpressured` and ``onWritable`` is owed.
    var owesWritable = false
    var closesWhenWritten = false
    var hasEndedWriting = false
    /// Nagle's algorithm is on, as for every new socket of our own, until something is written:
    /// connections that are only held need not pay for switching it off.
    var delaysSmallWrites = false
    /// Why a write failed while the reader still has bytes to get; the end will tell. Zero: none.
    var writeFailure: Int32 = 0
    /// Which use of this object it is: work enqueued for an earlier one must not touch a later one.
    private(set) var generation: UInt32 = 0

    /// Bytes accepted by ``write(_:)`` that the kernel has not taken yet.
    public internal(set) var queuedBytes = 0

    /// All bytes that ever had to be queued.
    var queuedTotal: Int64 = 0

    /// ``write(_:)`` answers `backpressured` while more than this many bytes are queued;
    /// ``onWritable`` follows at half of it.
    public static let highWaterBytes = 256 * 1024

    /// The other end; known from the start of a connect, nil while idle.
    public private(set) var peerAddress: SocketAddress?

    /// For whoever uses the connection: the object behind it. Dropped by ``close()``.
    public var context: AnyObject?
    /// For whoever uses the connection: a number to find its state by.
    public var tag = 0

    /// Gets bytes as they arrive, borrowed for the length of the call. Reading starts paused.
    public var onRead: ((TCPConnection, UnsafeRawBufferPointer) -> Void)?
    /// The peer sends no more: nil for its FIN, else the reason. Called once; without it the
    /// connection closes itself, as it does when a write fails after this.
    public var onEnd: ((TCPConnection, UVError?) -> Void)?
    /// Writing may go on after ``write(_:)`` answered `backpressured`.
    public var onWritable: ((TCPConnection) -> Void)?
    /// The connection is idle again: descriptor and memory are free.
    public var onClose: ((TCPConnection) -> Void)?

    /// An idle connection: memory, and no descriptor yet.
    public init(loop: EventLoop) {
        self.loop = loop
        handle = .allocate(capacity: 1)
    }

    deinit { handle.deallocate() }

    /// Whether the connection is established and was not closed by this side.
    public var isOpen: Bool { state == .open }
    /// Whether it may ``connect(to:from:deadline:completion:)``.
    public var isIdle: Bool { state == .idle }

    /// The own end of an established connection.
    public var localAddress: SocketAddress? {
        guard state == .open else { return nil }
        return SocketAddress.read { storage in
            var length = Int32(MemoryLayout<sockaddr_storage>.size)
            return storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                uv_tcp_getsockname(handle, $0, &length)
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
    ///   - completion: called once, never before this call has returned, unless ``close()`` comes
    ///     first. After a failure the connection closes itself.
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
                uv_tcp_connect(request, handle, $0) { request, status in
                    guard let request, let data = request.pointee.handle.pointee.data else {
                        return
                    }
                    Unmanaged<TCPConnection>.fromOpaque(data)._withUnsafeGuaranteedRef {
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
            // Known at once, told later: no completion runs inside the call that asks for it.
            let current = generation
            loop.enqueue { [self] in
                if generation == current, state == .connecting { fail(error) }
            }
        }
    }

    /// Reads until ``pauseReading()``; bytes go to ``onRead``.
    public func resumeReading() {
        guard state == .open, !isReading, !hasEnded else { return }
        startReading()
    }

    private func startReading() {
        isReading = true
        stream {
            uv_read_start(
                $0,
                { handle, _, buffer in
                    guard let data = handle?.pointee.data, let buffer else { return }
                    Unmanaged<TCPConnection>.fromOpaque(data)._withUnsafeGuaranteedRef {
                        let memory = $0.loop.readBuffer
                        buffer.pointee.base = memory.baseAddress?.assumingMemoryBound(
                            to: CChar.self)
                        buffer.pointee.len = memory.count
                    }
                },
                { handle, count, buffer in
                    guard let data = handle?.pointee.data, count != 0 else { return }
                    Unmanaged<TCPConnection>.fromOpaque(data)._withUnsafeGuaranteedRef {
                        if count > 0 {
                            $0.onRead?(
                                $0,
                                UnsafeRawBufferPointer(start: buffer?.pointee.base, count: count))
                        } else {
                            $0.ended(code: Int32(clamping: count))
                        }
                    }
                })
        }
    }

    /// Leaves further bytes in the kernel, which makes the peer stop sending in time.
    public func pauseReading() {
        guard state == .open, isReading else { return }
        isReading = false
        stream { uv_read_stop($0) }
        // The end that the reader was to meet does not come while reading is paused.
        if writeFailure != 0 { reportWriteFailure(writeFailure) }
    }

    /// Closes; bytes still queued are dropped. Idempotent, and safe inside every callback.
    public func close() {
        closeHandle(reset: false)
    }

    /// Closes with a reset (RST) instead of a FIN, so that neither side keeps the connection in
    /// TIME-WAIT (RFC 9293 §3.10.7.4). Idempotent, and safe inside every callback.
    public func abort() {
        closeHandle(reset: true)
    }

    // MARK: - Inside the room

    /// Takes over an accepted descriptor; false when libuv cannot have it.
    func adopt(_ descriptor: Int32, peer: SocketAddress?) -> Bool {
        precondition(state == .idle, "adopt needs an idle connection")
        uv_tcp_init(loop.raw, handle)
        guard uv_tcp_open(handle, descriptor) >= 0 else {
            begin(.open)
            close()
            return false
        }
        begin(.open)
        peerAddress = peer
        return true
    }

    func connectDeadlinePassed() {
        connectDeadline = nil
        guard state == .connecting else { return }
        fail(UVError(operation: "connect", code: UV_ETIMEDOUT.rawValue, address: peerAddress))
    }

    /// The peer sends no more, or nothing more can be sent to it: told once.
    func ended(code: Int32) {
        guard !hasEnded, state == .open else { return }
        hasEnded = true
        if isReading {
            isReading = false
            stream { uv_read_stop($0) }
        }
        let code = code == UV_EOF.rawValue ? reasonForEnd() : code
        let error =
            code == 0 ? nil : UVError(operation: "read from", code: code, address: peerAddress)
        if let onEnd { onEnd(self, error) } else { close() }
    }

    /// Why the bytes ended where libuv says that they just did: zero for the peer's FIN.
    private func reasonForEnd() -> Int32 {
        // A write that failed has taken the reason off the socket already.
        if writeFailure != 0 { return writeFailure }
        // libuv takes a reset that stands right behind the last bytes for a FIN; the socket knows.
        // EPIPE is its word for a reset that came after the FIN: the bytes were complete.
        guard let descriptor else { return 0 }
        let code = sonde_take_error(descriptor)
        return code == UV_EPIPE.rawValue ? 0 : code
    }

    @discardableResult
    func stream<R>(_ body: (UnsafeMutablePointer<uv_stream_t>) -> R) -> R {
        handle.withMemoryRebound(to: uv_stream_t.self, capacity: 1, body)
    }

    // MARK: - Private

    var descriptor: Int32? {
        var descriptor: Int32 = -1
        let code = handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) {
            uv_fileno($0, &descriptor)
        }
        return code == 0 ? descriptor : nil
    }

    private func begin(_ state: State) {
        self.state = state
        generation &+= 1
        isReading = false
        hasEnded = false
        owesWritable = false
        closesWhenWritten = false
        hasEndedWriting = false
        delaysSmallWrites = false
        writeFailure = 0
        queuedBytes = 0
        // The loop owns one reference from here until the close callback has run.
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    private func openSocket(from source: SocketAddress?) throws(UVError) {
        let data = handle.pointee.data
        uv_tcp_init(loop.raw, handle)
        handle.pointee.data = data
        guard let source else { return }
        // Bound by hand on a descriptor of our own: libuv binds the port at once, while the kernel
        // can leave it open until the target is known.
        let descriptor = source.withSockaddr {
            sonde_bound_socket($0, source.port == 0 ? 1 : 0)
        }
        try UVError.check(descriptor, "bind", source)
        let code = uv_tcp_open(handle, descriptor)
        if code < 0 { _ = sonde_close(descriptor) }
        try UVError.check(code, "bind", source)
    }

    private func connected(_ status: Int32) {
        guard state == .connecting else { return }
        guard status >= 0 else {
            fail(UVError(operation: "connect", code: status, address: peerAddress))
            return
        }
        cancelConnectDeadline()
        state = .open
        delaysSmallWrites = true
        let completion = self.completion
        self.completion = nil
        completion?(self, .success(()))
    }

    private func fail(_ error: UVError) {
        let completion = self.completion
        let context = self.context
        close()
        guard let completion else { return }
        // Whose it is, is asked in the completion.
        self.context = context
        completion(self, .failure(error))
        if self.context === context { self.context = nil }
    }

    private func cancelConnectDeadline() {
        guard let (deadlines, token) = connectDeadline else { return }
        connectDeadline = nil
        deadlines.cancel(token)
    }

    private func closeHandle(reset: Bool) {
        guard state == .connecting || state == .open else { return }
        let wasOpen = state == .open
        state = .closing
        cancelConnectDeadline()
        completion = nil
        onRead = nil
        onEnd = nil
        onWritable = nil
        context = nil
        // Not by uv_tcp_close_reset, which refuses while a half-close is under way: just when a
        // peer that takes nothing any more is to be got rid of.
        if reset, wasOpen, let descriptor { sonde_reset_on_close(descriptor) }
        Reactor.closeHandle(handle, TCPConnection.onHandleClosed)
    }

    private static let onHandleClosed: uv_close_cb = { handle in
        guard let data = handle?.pointee.data else { return }
        let connection = Unmanaged<TCPConnection>.fromOpaque(data).takeRetainedValue()
        connection.state = .idle
        connection.peerAddress = nil
        let onClose = connection.onClose
        connection.onClose = nil
        connection.loop.descriptorFreed()
        onClose?(connection)
    }
}

@available(*, unavailable)
extension TCPConnection: Sendable {}
