import CLibuv
import Pacing

/// Accepts TCP connections on one address.
///
/// When this process runs out of file descriptors the listener leaves waiting peers in the kernel's
/// backlog, and goes on as soon as a connection of its loop is closed, or after a short pause. (A
/// listener of libuv's own would accept and close them: to the peer, an answer that nobody gave.)
public final class TCPListener {
    /// How many connections one wake-up takes before others on the loop get their turn.
    private static let burst = 128
    /// How long to wait before trying again when descriptors have run out.
    private static let retryPause = Duration.milliseconds(50)

    private let handle: UnsafeMutablePointer<uv_poll_t>
    let descriptor: Int32
    private let loop: EventLoop
    private var onConnection: ((TCPConnection) -> Void)?
    private var retryTimer: Timer?
    private let busyPoll: Duration
    private var lastAccept = Instant(nanoseconds: 0)
    private var isPaused = false
    private var isClosing = false

    /// The address in use; its port is the one the kernel chose when 0 was asked for.
    public let localAddress: SocketAddress

    /// How often accepting paused because descriptors had run out, or because of another error.
    public private(set) var starvations = 0

    /// Opens, binds and listens.
    ///
    /// - Parameters:
    ///   - address: an IPv6 address takes IPv4 peers too where the system is dual-stack.
    ///   - backlog: connections that the kernel holds until they are accepted; it may cap this.
    ///   - busyPoll: when two connections came within this time, the loop goes on asking for the
    ///     next one for as long, instead of sleeping. A peer on the same machine then need not wake
    ///     it for every connection of a burst: measured, a sixth of what connecting costs the peer.
    ///     Zero: never. Has no effect on a single processor.
    ///   - reusePort: lets several processes share the port, the kernel dividing connections.
    ///   - onConnection: gets each connection, with reading paused. It stays open until somebody
    ///     closes it, even if nobody keeps it.
    /// - Throws: ``UVError`` with the address: in use, not of this machine, not permitted.
    public init(
        loop: EventLoop, address: SocketAddress, backlog: Int = 4096, reusePort: Bool = false,
        busyPoll: Duration = .zero,
        onConnection: @escaping (TCPConnection) -> Void
    ) throws(UVError) {
        let backlog = Int32(clamping: backlog)
        let descriptor = address.withSockaddr { sonde_listen($0, backlog, reusePort ? 1 : 0) }
        try UVError.check(descriptor, "listen on", address)
        let handle = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        let code = uv_poll_init(loop.raw, handle, descriptor)
        if code < 0 {
            handle.deallocate()
            _ = sonde_close(descriptor)
            throw UVError(operation: "listen on", code: code, address: address)
        }
        self.loop = loop
        self.handle = handle
        self.descriptor = descriptor
        self.onConnection = onConnection
        self.busyPoll = busyPoll
        localAddress =
            SocketAddress.read { sonde_local_address(descriptor, $0) } ?? address
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        startPolling()
    }

    deinit { handle.deallocate() }

    /// Leaves new peers in the kernel's backlog until ``resume()``.
    public func pause() {
        isPaused = true
        if !isClosing { uv_poll_stop(handle) }
    }

    /// Accepts again after ``pause()``.
    public func resume() {
        isPaused = false
        startPolling()
    }

    /// Stops listening. Idempotent, and safe inside the callback. Accepted connections stay.
    public func close() {
        guard !isClosing else { return }
        isClosing = true
        onConnection = nil
        loop.starvedListeners[ObjectIdentifier(self)] = nil
        retryTimer?.close()
        retryTimer = nil
        uv_poll_stop(handle)
        closeHandle(handle) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<TCPListener>.fromOpaque(data).release()
        }
        // libuv does not own the descriptor of a poll handle; stopped, it may be closed at once.
        _ = sonde_close(descriptor)
    }

    private func startPolling() {
        guard !isPaused, !isClosing else { return }
        uv_poll_start(handle, Int32(UV_READABLE.rawValue)) { handle, status, _ in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<TCPListener>.fromOpaque(data)._withUnsafeGuaranteedRef {
                // After an error libuv polls no more.
                if status < 0 { $0.starve() } else { $0.accept() }
            }
        }
    }

    private func accept() {
        let taken = acceptBurst()
        guard busyPoll > .zero, taken > 0, !isClosing else { return }
        let now = loop.now
        if taken > 1 || now - lastAccept < busyPoll { loop.pollBusily(for: busyPoll) }
        lastAccept = now
    }

    /// - Returns: how many it took.
    private func acceptBurst() -> Int {
        var taken = 0
        var peer = sockaddr_storage()
        for _ in 0..<TCPListener.burst {
            guard !isClosing, !isPaused, let onConnection else { return taken }
            let accepted = sonde_accept(descriptor, &peer)
            if accepted < 0 {
                switch uv_errno_t(rawValue: accepted) {
                case UV_EAGAIN: break  // nobody waits any more
                // The peer went away while it waited, or a firewall forbade it: try the next.
                case UV_ECONNABORTED, UV_EPROTO, UV_EPERM, UV_ENETDOWN, UV_EHOSTUNREACH: continue
                // Out of descriptors or memory, or whatever would come again at once.
                default: starve()
                }
                return taken
            }
            let address = withUnsafePointer(to: peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { SocketAddress($0) }
            }
            let connection = TCPConnection(loop: loop)
            guard connection.adopt(accepted, peer: address) else {
                _ = sonde_close(accepted)
                continue
            }
            taken += 1
            onConnection(connection)
        }
        return taken
    }

    private func starve() {
        starvations += 1
        uv_poll_stop(handle)
        loop.starvedListeners[ObjectIdentifier(self)] = self
        if retryTimer == nil {
            retryTimer = Timer(loop: loop) { [weak self] in self?.retryAccepting() }
        }
        retryTimer?.schedule(after: TCPListener.retryPause)
    }

    func retryAccepting() {
        loop.starvedListeners[ObjectIdentifier(self)] = nil
        retryTimer?.cancel()
        startPolling()
    }
}

@available(*, unavailable)
extension TCPListener: Sendable {}
