import CLibuv
import Pacing

/// What listeners for stream sockets have in common: ``TCPListener`` and ``UnixListener``.
///
/// When this process runs out of file descriptors the listener leaves waiting peers in the kernel's
/// backlog, and goes on as soon as a connection of its loop is closed, or after a short pause. (A
/// listener of libuv's own would accept and close them: to the peer, an answer that nobody gave.)
public class StreamListener {
    /// How many connections one wake-up takes before others on the loop get their turn.
    private static let burst = 128
    /// How long to wait before trying again when descriptors have run out.
    private static let retryPause = Duration.milliseconds(50)

    final let descriptor: Int32
    final let loop: EventLoop
    private var watcher: DescriptorWatcher?
    private var retryTimer: Timer?
    private let busyPoll: Duration
    private var lastAccept = Instant(nanoseconds: 0)
    private var isPaused = false
    private final var isClosing = false

    /// How often accepting paused because descriptors had run out, or because of another error.
    public private(set) final var starvations = 0

    /// - Parameters:
    ///   - descriptor: listens already, and belongs to this object from here on; an error to be
    ///     thrown where it is negative.
    ///   - operation: names an error.
    init(
        loop: EventLoop, descriptor: Int32, busyPoll: Duration, operation: String,
        address: SocketAddress? = nil
    ) throws(UVError) {
        self.loop = loop
        self.descriptor = descriptor
        self.busyPoll = busyPoll
        try UVError.check(descriptor, operation, address)
        do throws(UVError) {
            // Holds this object until it is closed.
            watcher = try DescriptorWatcher(loop: loop, descriptor: descriptor) { [self] in
                // After an error nothing is watched any more.
                if case .success = $0 { accept() } else { starve() }
            }
        } catch {
            _ = sonde_close(descriptor)
            throw UVError(operation: operation, code: error.code, address: address)
        }
        startPolling()
    }

    /// Makes a connection of a descriptor and hands it out; false where it cannot be had.
    func accepted(_ descriptor: Int32, _ peer: inout sockaddr_storage) -> Bool { false }
    /// Drops what is kept for ``accepted(_:_:)``.
    func closed() {}

    /// Leaves new peers in the kernel's backlog until ``resume()``.
    public final func pause() {
        isPaused = true
        watcher?.watch([])
    }

    /// Accepts again after ``pause()``.
    public final func resume() {
        isPaused = false
        startPolling()
    }

    /// Stops listening. Idempotent, and safe inside the callback. Accepted connections stay.
    public final func close() {
        guard !isClosing else { return }
        isClosing = true
        closed()
        loop.starvedListeners[ObjectIdentifier(self)] = nil
        retryTimer?.close()
        retryTimer = nil
        watcher?.close()
        watcher = nil
        _ = sonde_close(descriptor)
    }

    private func startPolling() {
        if !isPaused { watcher?.watch(.readable) }
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
        for _ in 0..<StreamListener.burst {
            if isClosing || isPaused { return taken }
            let descriptor = sonde_accept(self.descriptor, &peer)
            if descriptor < 0 {
                switch uv_errno_t(rawValue: descriptor) {
                case UV_EAGAIN: break  // nobody waits any more
                // The peer went away while it waited, or a firewall forbade it: try the next.
                case UV_ECONNABORTED, UV_EPROTO, UV_EPERM, UV_ENETDOWN, UV_EHOSTUNREACH: continue
                // Out of descriptors or memory, or whatever would come again at once.
                default: starve()
                }
                return taken
            }
            if accepted(descriptor, &peer) { taken += 1 } else { _ = sonde_close(descriptor) }
        }
        return taken
    }

    private func starve() {
        starvations += 1
        watcher?.watch([])
        loop.starvedListeners[ObjectIdentifier(self)] = self
        if retryTimer == nil {
            retryTimer = Timer(loop: loop) { [weak self] in self?.retryAccepting() }
        }
        retryTimer?.schedule(after: StreamListener.retryPause)
    }

    final func retryAccepting() {
        loop.starvedListeners[ObjectIdentifier(self)] = nil
        retryTimer?.cancel()
        startPolling()
    }
}

@available(*, unavailable)
extension StreamListener: Sendable {}
