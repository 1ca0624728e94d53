import CLibuv

/// Wakes a loop from another thread; with ``LoopPoster``, which brings work along, the only part of
/// the reactor that may leave its thread.
///
/// Several ``wake()`` calls before the loop gets to run may be answered by one callback.
public final class Wakeup: Sendable {
    private let door: Door

    /// - Parameter onWake: called on the loop's thread.
    /// - Throws: ``UVError`` when the kernel refuses an event descriptor.
    public init(loop: EventLoop, onWake: @escaping () -> Void) throws(UVError) {
        door = try Door(loop: loop, onWake: onWake)
    }

    /// Asks the loop to call back; after ``close()`` nothing, though the loop may be gone. From any
    /// thread; from a signal handler too.
    public func wake() {
        sonde_gate_send(door.gate, door.handle.raw)
    }

    /// Whether it keeps ``EventLoop/run()`` from returning; true at first. Only on the loop's
    /// thread.
    public func setKeepsLoopAlive(_ keeps: Bool) {
        door.handle.keepsLoopAlive = keeps
    }

    /// Gives the handle back. Only on the loop's thread. Idempotent.
    public func close() {
        door.close()
    }
}

/// What a ``Wakeup`` owns on the loop's side.
///
/// Unchecked: `handle` and `gate` are constants whose one cross-thread use, `sonde_gate_send`, is
/// thread-safe; the rest is touched by the loop's thread alone.
private final class Door: @unchecked Sendable {
    let handle = Handle<uv_async_t>()
    let gate: UnsafeMutablePointer<Int32>
    private var onWake: (() -> Void)?
    /// Nil once the handle is closed: whoever lets go of the ``Wakeup`` last may be on another
    /// thread, and must not take the loop along.
    private var loop: EventLoop?

    init(loop: EventLoop, onWake: @escaping () -> Void) throws(UVError) {
        gate = .allocate(capacity: 1)
        gate.initialize(to: 0)
        self.onWake = onWake
        self.loop = loop
        let code = uv_async_init(loop.raw, handle.raw) {
            $0?.withOwner(Door.self) { $0.onWake?() }
        }
        try UVError.check(code, "create wakeup")
        handle.hold(self)
    }

    deinit { gate.deallocate() }

    func close() {
        // Before libuv's close, which lets senders go on to the loop.
        sonde_gate_shut(gate)
        onWake = nil
        handle.close { handle in
            guard let data = handle?.pointee.data else { return }
            let door = Unmanaged<Door>.fromOpaque(data).takeRetainedValue()
            door.loop = nil
        }
    }
}
