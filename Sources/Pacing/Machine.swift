/// The one rule: events and `now` in, actions appended, ``nextDeadline`` out.
///
/// A machine is a struct that decides about a protocol, a retry or a deadline. It never reads a
/// clock, opens a socket or writes a log. Its events are mutating methods of its own; what they ask
/// for they append as actions, which somebody else carries out: `MachineDriver` on an event loop, a
/// test under virtual time.
public protocol Machine {
    /// What it asks for.
    associatedtype Action

    /// The moment at which ``tick(now:_:)`` wants to be called; nil while nothing is pending.
    var nextDeadline: Instant? { get }

    /// Does what is due at `now`, which is all news that came before; nothing before its time.
    mutating func tick(now: Instant, _ actions: inout [Action])
}
