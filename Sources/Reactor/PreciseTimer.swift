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
    private var alarm: DescriptorWatcher?

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
        do throws(UVError) {
            alarm = try DescriptorWatcher(loop: loop, descriptor: descriptor) { [self] _ in woken()
            }
            alarm?.setKeepsLoopAlive(false)
            alarm?.watch(.readable)
        } catch {
            _ = sonde_close(descriptor)
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
        guard let alarm else { return }
        self.alarm = nil
        alarm.close()
        _ = sonde_close(alarm.descriptor)
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
