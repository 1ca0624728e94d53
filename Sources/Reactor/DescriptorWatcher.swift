import CLibuv

/// Says when a descriptor that somebody else owns can be read or written: how a C library with
/// sockets of its own joins a loop.
///
/// Level-triggered: as long as a wanted event is there, every turn of the loop calls. The watcher
/// never reads, writes or closes the descriptor, but makes it non-blocking.
public final class DescriptorWatcher {
    /// What can be asked for, and what came.
    public struct Events: OptionSet, Sendable {
        /// One bit an event, as libuv has them.
        public let rawValue: Int32
        /// From what ``rawValue`` once was.
        public init(rawValue: Int32) { self.rawValue = rawValue }
        /// There is something to read, or the end of it.
        public static let readable = Events(rawValue: Int32(UV_READABLE.rawValue))
        /// There is room to write, or an error to be found by it.
        public static let writable = Events(rawValue: Int32(UV_WRITABLE.rawValue))
        /// The peer has shut down its side.
        public static let disconnected = Events(rawValue: Int32(UV_DISCONNECT.rawValue))
        /// Out-of-band data, or what a driver calls so (POLLPRI).
        public static let prioritized = Events(rawValue: Int32(UV_PRIORITIZED.rawValue))
    }

    /// The descriptor.
    public let descriptor: Int32
    private let handle = Handle<uv_poll_t>()
    private let loop: EventLoop
    private var onEvents: ((Result<Events, UVError>) -> Void)?

    /// Watches nothing yet; see ``watch(_:)``.
    ///
    /// - Parameters:
    ///   - descriptor: open until after ``close()``, and watched by no other handle of this loop.
    ///   - onEvents: gets what came of that which was asked for; after a failure nothing is
    ///     watched until it is asked for again.
    /// - Throws: ``UVError``, where it is not one that can be watched (a regular file).
    public init(
        loop: EventLoop, descriptor: Int32, onEvents: @escaping (Result<Events, UVError>) -> Void
    ) throws(UVError) {
        self.descriptor = descriptor
        self.loop = loop
        self.onEvents = onEvents
        try UVError.check(uv_poll_init(loop.raw, handle.raw, descriptor), "watch descriptor")
        handle.hold(self)
    }

    /// Watches for these events, and no others, from now on; for none, it keeps no loop running.
    public func watch(_ events: Events) {
        guard onEvents != nil else { return }
        if events.isEmpty {
            uv_poll_stop(handle.raw)
            return
        }
        uv_poll_start(handle.raw, events.rawValue) { handle, status, events in
            handle?.withOwner(DescriptorWatcher.self) {
                $0.onEvents?(
                    status < 0
                        ? .failure(UVError(operation: "watch descriptor", code: status))
                        : .success(Events(rawValue: events)))
            }
        }
    }

    /// Whether the loop goes on running for what is watched; true at first.
    public func setKeepsLoopAlive(_ keeps: Bool) { handle.keepsLoopAlive = keeps }

    /// Lets go of the descriptor, which may be closed as soon as this returns. Idempotent, and
    /// safe inside the callback.
    public func close() {
        guard onEvents != nil else { return }
        onEvents = nil
        uv_poll_stop(handle.raw)
        handle.close()
    }
}

@available(*, unavailable)
extension DescriptorWatcher: Sendable {}
