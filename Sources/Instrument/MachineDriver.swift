import Pacing
import Reactor

/// Runs a machine on an event loop: tells it events and the time, has its actions carried out, and
/// keeps one timer for its `nextDeadline`.
///
/// The loop hands out all news that waits before it calls time (``EventLoop/heardUntil``), so a
/// tick never comes before an event that was there when its moment came.
///
/// It holds its loop until ``close()``, which its owner calls; what carries the actions out must
/// not hold the owner.
public final class MachineDriver<M: Machine> {
    @usableFromInline
    struct State {
        @usableFromInline var scratch: [M.Action] = []
        /// What the timer is set to.
        @usableFromInline var armed: Instant?
        /// Nil once it is closed.
        @usableFromInline var alarm: (any Alarm)?
        @usableFromInline var perform: (M.Action, Instant) -> Void = { _, _ in }

        @inlinable
        init() {}
    }

    /// The loop that it runs on.
    public let loop: EventLoop
    /// Behind pointers, because mutating a class's property in place is checked at run time.
    @usableFromInline let known: UnsafeMutablePointer<M>
    @usableFromInline let state: UnsafeMutablePointer<State>

    /// - Parameter isPrecise: whether deadlines are kept to some microseconds, for three system
    ///   calls each.
    @inlinable
    public init(loop: EventLoop, machine: M, isPrecise: Bool = false) {
        self.loop = loop
        state = .allocate(capacity: 1)
        state.initialize(to: State())
        known = .allocate(capacity: 1)
        known.initialize(to: machine)
        let fire = { [unowned self] in
            state.pointee.armed = nil
            step { $0.tick(now: $1, &$2) }
        }
        state.pointee.alarm =
            isPrecise ? PreciseTimer(loop: loop, onFire: fire) : Timer(loop: loop, onFire: fire)
    }

    deinit {
        known.deinitialize(count: 1).deallocate()
        state.deinitialize(count: 1).deallocate()
    }

    /// Has `perform` carry out the actions from now on, one by one. It gets the time that the
    /// machine was told, and may lead to a further step, whose actions then come first.
    @inlinable
    public func onAction(_ perform: @escaping (_ action: M.Action, _ now: Instant) -> Void) {
        state.pointee.perform = perform
    }

    /// The machine, to ask it, or to tell it what leads to no action.
    @inlinable public var machine: M {
        unsafeAddress { UnsafePointer(known) }
        unsafeMutableAddress { known }
    }

    /// Tells the machine what `event` says, and carries out what it asks for then.
    @inlinable
    public func step(_ event: (inout M, Instant, inout [M.Action]) -> Void) {
        var actions: [M.Action] = []
        swap(&actions, &state.pointee.scratch)
        let now = loop.now
        event(&known.pointee, now, &actions)
        if !actions.isEmpty {
            let perform = state.pointee.perform
            for action in actions where state.pointee.alarm != nil { perform(action, now) }
        }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &state.pointee.scratch)
        let next = known.pointee.nextDeadline
        guard next != state.pointee.armed, let alarm = state.pointee.alarm else { return }
        state.pointee.armed = next
        if let next { alarm.schedule(at: next) } else { alarm.cancel() }
    }

    /// Gives the timer back; actions that are not carried out yet never are. The machine can still
    /// be asked. Idempotent.
    @inlinable
    public func close() {
        state.pointee.alarm?.close()
        state.pointee.alarm = nil
    }
}

@available(*, unavailable)
extension MachineDriver: Sendable {}

/// A timer of either kind.
@usableFromInline
protocol Alarm: AnyObject {
    func schedule(at moment: Instant)
    func cancel()
    func close()
}

extension Timer: Alarm {}
extension PreciseTimer: Alarm {}
