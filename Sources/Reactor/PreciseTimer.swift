import CLibuv
import Pacing

/// Like ``Timer``, but exact to some microseconds where the system has the means (Linux:
/// `timerfd_create`): libuv's own timers count in whole milliseconds.
///
/// It takes a descriptor and three system calls a time; for the few moments that must be kept.
/// Without a descriptor it is as exact as a ``Timer``.
public final class PreciseTimer {
    /// Decides; the descriptor only wakes the loop before this would.
    private let timer: Timer
    private let loop: EventLoop
    private var alarm: (descriptor: Int32, handle: UnsafeMutablePointer<uv_poll_t>)?

    /// When it will fire; nil while it is not scheduled.
    public var deadline: Instant? { timer.deadline }

    /// A timer that is not scheduled yet.
    /// - Parameter onFire: called each time its moment has come.
    public init(loop: EventLoop, onFire: @escaping () -> Void) {
        self.loop = loop
        timer = Timer(loop: loop, onFire: onFire)
        if loop.isVirtual { return }  // every timer is exact there
        let descriptor = sonde_timer_open()
        guard descriptor >= 0 else { return }
        let handle = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        guard uv_poll_init(loop.raw, handle, descriptor) >= 0 else {
            handle.deallocate()
            _ = sonde_close(descriptor)
            return
        }
        alarm = (descriptor, handle)
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { uv_unref($0) }
        uv_poll_start(handle, Int32(UV_READABLE.rawValue)) { handle, _, _ in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<PreciseTimer>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.woken() }
        }
    }

    /// Fires at `moment` instead of whenever it was to fire; in the next turn when that has passed.
    public func schedule(at moment: Instant) {
        timer.schedule(at: moment)
        // Zero would switch it off.
        if let alarm { sonde_timer_set(alarm.descriptor, max(moment.nanoseconds, 1)) }
    }

    /// Fires `delay` from now.
    public func schedule(after delay: Duration) {
        schedule(at: loop.now + delay)
    }

    /// Does not fire any more until it is scheduled again.
    public func cancel() {
        timer.cancel()
        if let alarm { sonde_timer_set(alarm.descriptor, 0) }
    }

    /// Whether a running timer keeps ``EventLoop/run()`` from returning; true at first.
    public func setKeepsLoopAlive(_ keeps: Bool) {
        timer.setKeepsLoopAlive(keeps)
    }

    /// Gives the timer back. Idempotent, and safe inside its own callback.
    public func close() {
        timer.close()
        guard let (descriptor, handle) = alarm else { return }
        alarm = nil
        uv_poll_stop(handle)
        closeHandle(handle) { handle in
            guard let handle, let data = handle.pointee.data else { return }
            Unmanaged<PreciseTimer>.fromOpaque(data).release()
            handle.deallocate()
        }
        _ = sonde_close(descriptor)
        loop.descriptorFreed()
    }

    private func woken() {
        guard let alarm else { return }
        sonde_timer_acknowledge(alarm.descriptor)
        timer.wake()
    }
}

@available(*, unavailable)
extension PreciseTimer: Sendable {}
