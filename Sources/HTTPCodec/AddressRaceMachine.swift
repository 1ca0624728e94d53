import Pacing

/// Which of a host's addresses to connect to, and when to try the next one (RFC 8305, "Happy
/// Eyeballs"): so that a dead first address costs a quarter of a second and not a timeout.
///
///     state     event                        action
///     racing    start                        dial the first
///     racing    250 ms without a connection  dial the next, too
///     racing    one failed                   dial the next at once, or exhausted after the last
///     racing    one connected                won; abandon all others
///     over      anything late                –
///
/// Addresses are tried in the order given, but the families in turns (§4). An address is known by
/// its index.
public struct AddressRaceMachine: Machine, Sendable {
    /// What is to be done.
    public enum Action: Equatable, Sendable {
        /// Connect to this one.
        case dial(Int)
        /// Forget about this one.
        case abandon(Int)
        /// This is the connection.
        case won(Int)
        /// There is none, and none is under way.
        case exhausted
    }

    /// Between two attempts (§5; the recommended value).
    public static let attemptDelay = Duration.milliseconds(250)

    private var waiting: ArraySlice<Int>
    private var underWay: [Int] = []
    private var isOver = false

    /// When the next address is tried, too.
    public private(set) var nextDeadline: Instant?

    /// - Parameter isIPv6: of each address, in the order that the system prefers (RFC 6724).
    public init(isIPv6: [Bool]) {
        waiting = AddressRaceMachine.interleaved(isIPv6)[...]
    }

    /// Those of the first's family and of the other one in turns, each family in its order.
    static func interleaved(_ isIPv6: [Bool]) -> [Int] {
        guard let first = isIPv6.first else { return [] }
        var own = isIPv6.indices.filter { isIPv6[$0] == first }[...]
        var other = isIPv6.indices.filter { isIPv6[$0] != first }[...]
        var order: [Int] = []
        while let next = own.popFirst() {
            order.append(next)
            if let next = other.popFirst() { order.append(next) }
        }
        return order + other
    }

    /// Begins.
    public mutating func start(now: Instant, _ actions: inout [Action]) { dialNext(now, &actions) }

    /// The next address, where its time has come.
    public mutating func tick(now: Instant, _ actions: inout [Action]) {
        guard let nextDeadline, now >= nextDeadline else { return }
        dialNext(now, &actions)
    }

    /// A connection stands.
    public mutating func connected(_ index: Int, _ actions: inout [Action]) {
        guard let place = underWay.firstIndex(of: index), !isOver else { return }
        underWay.remove(at: place)
        actions.append(.won(index))
        stop(&actions)
    }

    /// An address cannot be had.
    public mutating func failed(_ index: Int, now: Instant, _ actions: inout [Action]) {
        guard let place = underWay.firstIndex(of: index), !isOver else { return }
        underWay.remove(at: place)
        dialNext(now, &actions)
    }

    /// Nobody wants a connection any more.
    public mutating func stop(_ actions: inout [Action]) {
        isOver = true
        nextDeadline = nil
        waiting = []
        for index in underWay { actions.append(.abandon(index)) }
        underWay = []
    }

    private mutating func dialNext(_ now: Instant, _ actions: inout [Action]) {
        nextDeadline = nil
        guard let next = waiting.popFirst() else {
            guard underWay.isEmpty else { return }
            isOver = true
            return actions.append(.exhausted)
        }
        underWay.append(next)
        actions.append(.dial(next))
        if !waiting.isEmpty { nextDeadline = now + AddressRaceMachine.attemptDelay }
    }
}
