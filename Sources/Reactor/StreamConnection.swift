import CLibuv
import Pacing

/// What connections over the kernel's stream sockets have in common: ``TCPConnection`` and
/// ``UnixConnection``.
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
/// The callbacks belong to the two kinds, because they get a connection of that kind.
public class StreamConnection {
    enum State: UInt8 { case idle, connecting, open, closing }

    /// The loop it lives on.
    public final let loop: EventLoop
    final let handle: Handle<uv_stream_t>

    private(set) final var state = State.idle
    private(set) final var isReading = false
    private(set) final var hasEnded = false
    /// Whether a write said `backpressured` and ``tellWritable()`` is owed.
    final var owesWritable = false
    final var closesWhenWritten = false
    final var hasEndedWriting = false
    /// Nagle's algorithm is on, as for every new socket of our own, until something is written:
    /// connections that are only held need not pay for switching it off.
    final var delaysSmallWrites = false
    /// Why a write failed while the reader still has bytes to get; the end will tell. Zero: none.
    final var writeFailure: Int32 = 0
    /// Which use of this object it is: work enqueued for an earlier one must not touch a later one.
    private(set) final var generation: UInt32 = 0

    /// Bytes accepted by ``write(_:)`` that the kernel has not taken yet.
    public final var queuedBytes: Int { queued }
    // Where others see what is stored, each access is checked at run time: a request would pay
    // sixty instructions for each.
    final var queued = 0
    private final var user: AnyObject?

    /// All bytes that ever had to be queued.
    final var queuedTotal: Int64 = 0

    /// ``write(_:)`` answers `backpressured` while more than this many bytes are queued;
    /// `onWritable` follows at half of it.
    public static let highWaterBytes = 256 * 1024

    /// For whoever uses the connection: the object behind it. Dropped by ``close()``.
    public final var context: AnyObject? {
        get { user }
        set { user = newValue }
    }
    /// For whoever uses the connection: a number to find its state by.
    public final var tag = 0

    /// - Parameter kind: libuv's, one that begins with the fields of a stream.
    init<Kind>(loop: EventLoop, kind: Kind.Type) {
        self.loop = loop
        handle = Handle(of: kind)
    }

    // MARK: - What the kinds have of their own

    /// Calls `onRead`.
    func tellRead(_ bytes: UnsafeRawBufferPointer) {}
    /// Calls `onEnd`; false where nobody listens.
    func tellEnd(_ error: UVError?) -> Bool { false }
    /// Calls `onWritable`.
    func tellWritable() {}
    /// The connection is idle again: calls `onClose`.
    func tellClosed() {}
    /// Calls the completion of a connect; for a failure inside ``failed(_:)``.
    func tellConnected(_ result: Result<Void, UVError>) {}
    /// Drops everything but `onClose`.
    func dropCallbacks() {}
    /// Has what follows sent at once, however little it is.
    func stopDelayingWrites() {}
    /// Names the other end.
    func failure(_ operation: String, _ code: Int32) -> UVError {
        UVError(operation: operation, code: code)
    }

    // MARK: - Reading and closing

    /// Whether the connection is established and was not closed by this side.
    public final var isOpen: Bool { state == .open }
    /// Whether it may connect.
    public final var isIdle: Bool { state == .idle }

    /// Reads until ``pauseReading()``; bytes go to `onRead`.
    public final func resumeReading() {
        guard state == .open, !isReading, !hasEnded else { return }
        startReading()
    }

    final func startReading() {
        isReading = true
        uv_read_start(
            handle.raw,
            { handle, _, buffer in
                guard let buffer else { return }
                handle?.withOwner(StreamConnection.self) {
                    let memory = $0.loop.readBuffer
                    buffer.pointee.base = memory.baseAddress?.assumingMemoryBound(to: CChar.self)
                    buffer.pointee.len = memory.count
                }
            },
            { handle, count, buffer in
                guard count != 0 else { return }
                handle?.withOwner(StreamConnection.self) {
                    if count > 0 {
                        $0.tellRead(
                            UnsafeRawBufferPointer(start: buffer?.pointee.base, count: count))
                    } else {
                        $0.ended(code: Int32(clamping: count))
                    }
                }
            })
    }

    /// Leaves further bytes in the kernel, which makes the peer stop sending in time.
    public final func pauseReading() {
        guard state == .open, isReading else { return }
        isReading = false
        uv_read_stop(handle.raw)
        // The end that the reader was to meet does not come while reading is paused.
        if writeFailure != 0 { reportWriteFailure(writeFailure) }
    }

    /// Closes; bytes still queued are dropped. Idempotent, and safe inside every callback.
    public final func close() {
        closeHandle(reset: false)
    }

    /// Closes with a reset (RST) instead of a FIN, so that neither side keeps the connection in
    /// TIME-WAIT (RFC 9293 §3.10.7.4). Idempotent, and safe inside every callback.
    ///
    /// Unix sockets know resets only for bytes that were not read: to the peer of one without, it
    /// is an end as any other.
    public final func abort() {
        closeHandle(reset: true)
    }

    // MARK: - Inside the room

    /// Its handle has been initialized, or will be by whoever calls this.
    final func begin(_ state: State) {
        self.state = state
        generation &+= 1
        isReading = false
        hasEnded = false
        owesWritable = false
        closesWhenWritten = false
        hasEndedWriting = false
        delaysSmallWrites = false
        writeFailure = 0
        queued = 0
        // The loop owns one reference from here until the close callback has run.
        handle.hold(self)
    }

    /// libuv has said how a connect ended.
    final func connected(_ status: Int32) {
        guard state == .connecting else { return }
        guard status >= 0 else { return tellConnected(.failure(failure("connect", status))) }
        state = .open
        tellConnected(.success(()))
    }

    /// Known at once, told later: no completion runs inside the call that asks for it.
    final func connectsLater(_ result: Result<Void, UVError>) {
        let current = generation
        loop.enqueue { [self] in
            guard generation == current, state == .connecting else { return }
            if case .success = result { state = .open }
            tellConnected(result)
        }
    }

    /// Closes after a connect in vain; whose it is, may still be asked while it is told.
    final func failed(_ tell: () -> Void) {
        let context = self.context
        close()
        self.context = context
        tell()
        if self.context === context { self.context = nil }
    }

    /// The peer sends no more, or nothing more can be sent to it: told once.
    final func ended(code: Int32) {
        guard !hasEnded, state == .open else { return }
        hasEnded = true
        if isReading {
            isReading = false
            uv_read_stop(handle.raw)
        }
        let code = code == UV_EOF.rawValue ? reasonForEnd() : code
        if !tellEnd(code == 0 ? nil : failure("read from", code)) { close() }
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

    final var descriptor: Int32? {
        var descriptor: Int32 = -1
        return uv_fileno(handle.base, &descriptor) == 0 ? descriptor : nil
    }

    private func closeHandle(reset: Bool) {
        guard state == .connecting || state == .open else { return }
        let wasOpen = state == .open
        state = .closing
        dropCallbacks()
        context = nil
        // Not by uv_tcp_close_reset, which refuses while a half-close is under way: just when a
        // peer that takes nothing any more is to be got rid of.
        if reset, wasOpen, let descriptor { sonde_reset_on_close(descriptor) }
        handle.close { handle in
            guard let data = handle?.pointee.data else { return }
            let connection = Unmanaged<StreamConnection>.fromOpaque(data).takeRetainedValue()
            connection.state = .idle
            connection.loop.descriptorFreed()
            connection.tellClosed()
        }
    }
}

@available(*, unavailable)
extension StreamConnection: Sendable {}
