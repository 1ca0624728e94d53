import CLibuv
import Pacing

/// Like ``Timer``, but exact to some microseconds where the system has the means (Linux:
/// `timerfd_create`): libuv's own timers count in whole milliseconds.
///
/// It takes a descriptor and two system calls a time; for the few moments that must be kept.
/// Without a descriptor it is as exact as a ``Timer``.
public final class PreciseTimer {
    private enum Means {
        case descriptor(Int32, UnsafeMutablePointer<uv_poll_t>)
        case timer(Timer)
    }

    private let means: Means
    private let loop: EventLoop
    private var onFire: (() -> Void)?

    /// When it will fire; nil while it is not scheduled.
    public private(set) var deadline: Instant?

    /// A timer that is not scheduled yet.
    /// - Parameter onFire: called each time its moment has come.
    public init(loop: EventLoop, onFire: @escaping () -> Void) {
        self.loop = loop
        let descriptor = sonde_timer_open()
        let handle = UnsafeMutablePointer<uv_poll_t>.allocate(capacity: 1)
        guard descriptor >= 0, uv_poll_init(loop.raw, handle, descriptor) >= 0 else {
            if descriptor >= 0 { _ = sonde_close(descriptor) }
            handle.deallocate()
            means = .timer(Timer(loop: loop, onFire: onFire))
            return
        }
        means = .descriptor(descriptor, handle)
        self.onFire = onFire
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        uv_poll_start(handle, Int32(UV_READABLE.rawValue)) { handle, _, _ in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<PreciseTimer>.fromOpaque(data)._withUnsafeGuaranteedRef { $0.fired() }
        }
    }

    deinit {
        if case .descriptor(_, let handle) = means { handle.deallocate() }
    }

    /// Fires at `moment` instead of whenever it was to fire; in the next turn when that has passed.
    public func schedule(at moment: Instant) {
        deadline = moment
        switch means {
        case .descriptor(let descriptor, _):
            guard onFire != nil else { return }
            // Zero would switch it off.
            sonde_timer_set(descriptor, max(moment.nanoseconds, 1))
        case .timer(let timer): timer.schedule(at: moment)
        }
    }

    /// Fires `delay` from now.
    public func schedule(after delay: Duration) {
        schedule(at: loop.now + delay)
    }

    /// Does not fire any more until it is scheduled again.
    public func cancel() {
        deadline = nil
        switch means {
        case .descriptor(let descriptor, _): if onFire != nil { sonde_timer_set(descriptor, 0) }
        case .timer(let timer): timer.cancel()
        }
    }

    /// Gives the timer back. Idempotent, and safe inside its own callback.
    public func close() {
        deadline = nil
        switch means {
        case .descriptor(let descriptor, let handle):
            guard onFire != nil else { return }
            onFire = nil
            uv_poll_stop(handle)
            closeHandle(handle) { handle in
                guard let data = handle?.pointee.data else { return }
                Unmanaged<PreciseTimer>.fromOpaque(data).release()
            }
            _ = sonde_close(descriptor)
            loop.descriptorFreed()
        case .timer(let timer): timer.close()
        }
    }

    private func fired() {
        guard case .descriptor(let descriptor, _) = means else { return }
        sonde_timer_acknowledge(descriptor)
        guard let moment = deadline, loop.now >= moment else { return }
        deadline = nil
        onFire?()
    }
}

@available(*, unavailable)
extension PreciseTimer: Sendable {}
