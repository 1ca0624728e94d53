import CLibuv

/// Wakes a loop from another thread: the only part of the reactor that may leave its thread.
///
/// Several ``wake()`` calls before the loop gets to run may be answered by one callback.
public final class Wakeup: Sendable {
    private let door: Door

    /// - Parameter onWake: called on the loop's thread.
    /// - Throws: ``UVError`` when the kernel refuses an event descriptor.
    public init(loop: EventLoop, onWake: @escaping () -> Void) throws(UVError) {
        door = try Door(loop: loop, onWake: onWake)
    }

    /// Asks the loop to call back. From any thread, until ``close()`` was called; from a signal
    /// handler too.
    public func wake() {
        uv_async_send(door.handle)
    }

    /// Gives the handle back. Only on the loop's thread; no other thread may call ``wake()`` after.
    public func close() {
        door.close()
    }
}

/// What a ``Wakeup`` owns on the loop's side.
///
/// Unchecked: `handle` is a constant whose one cross-thread use, `uv_async_send`, libuv documents
/// as thread-safe; the rest is touched by the loop's thread alone.
private final class Door: @unchecked Sendable {
    let handle: UnsafeMutablePointer<uv_async_t>
    private var onWake: (() -> Void)?
    /// Nil once the handle is closed: whoever lets go of the ``Wakeup`` last may be on another
    /// thread, and must not take the loop along.
    private var loop: EventLoop?

    init(loop: EventLoop, onWake: @escaping () -> Void) throws(UVError) {
        handle = .allocate(capacity: 1)
        self.onWake = onWake
        self.loop = loop
        let code = uv_async_init(loop.raw, handle) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<Door>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.onWake?() }
        }
        try UVError.check(code, "create wakeup")
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
    }

    deinit { handle.deallocate() }

    func close() {
        onWake = nil
        closeHandle(handle) { handle in
            guard let data = handle?.pointee.data else { return }
            let door = Unmanaged<Door>.fromOpaque(data).takeRetainedValue()
            door.loop = nil
        }
    }
}
