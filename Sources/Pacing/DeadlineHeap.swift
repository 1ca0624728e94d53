/// Many deadlines at arbitrary moments: the earliest is found at once.
///
/// For random delays, where who starts later may expire earlier; deadlines of one and the same
/// duration are cheaper in a ``DeadlineQueue``. Starting, cancelling and expiring are O(log n)
/// without allocation in steady state, and exact: there is no grain to which moments are rounded.
/// Pure: the caller says what time it is.
public struct DeadlineHeap<Payload> {
    /// A node has this many children: four lie in one or two cache lines.
    @usableFromInline static var arity: Int { 4 }
    @usableFromInline static var none: UInt32 { .max }

    @usableFromInline
    struct Node {
        @usableFromInline var deadline: Instant
        @usableFromInline var place: UInt32

        @inlinable
        init(deadline: Instant, place: UInt32) {
            self.deadline = deadline
            self.place = place
        }
    }

    @usableFromInline
    struct Entry {
        /// Where its node is in the heap; while it is free, the next free place.
        @usableFromInline var position: UInt32
        @usableFromInline var generation: UInt32
        @usableFromInline var payload: Payload?

        @inlinable
        init(payload: Payload) {
            position = 0
            generation = 0
            self.payload = payload
        }
    }

    @usableFromInline var nodes: [Node] = []
    @usableFromInline var entries: [Entry] = []
    @usableFromInline var free = DeadlineHeap.none

    /// A heap without deadlines.
    @inlinable public init() {}

    /// How many deadlines are running.
    @inlinable public var count: Int { nodes.count }
    /// Whether none is running.
    @inlinable public var isEmpty: Bool { nodes.isEmpty }
    /// The earliest deadline; nil while there is none.
    @inlinable public var nextDeadline: Instant? { nodes.first?.deadline }

    /// Adds a deadline.
    @inlinable
    public mutating func start(_ payload: Payload, at deadline: Instant) -> DeadlineToken {
        let place: UInt32
        if free != Self.none {
            place = free
            free = entries[Int(place)].position
            entries[Int(place)].payload = payload
        } else {
            precondition(entries.count < Int(UInt32.max), "a heap holds at most 2^32 - 1 entries")
            place = UInt32(entries.count)
            entries.append(Entry(payload: payload))
        }
        nodes.append(Node(deadline: deadline, place: place))
        siftUp(nodes.count - 1)
        return DeadlineToken(index: place, generation: entries[Int(place)].generation)
    }

    /// Takes a deadline out; nil when it has passed or was cancelled before.
    @inlinable
    @discardableResult
    public mutating func cancel(_ token: DeadlineToken) -> Payload? {
        let place = Int(token.index)
        guard place < entries.count, entries[place].generation == token.generation,
            entries[place].payload != nil
        else { return nil }
        return remove(at: Int(entries[place].position))
    }

    /// Takes the earliest deadline out if its time has come.
    @inlinable
    public mutating func popExpired(now: Instant) -> Payload? {
        guard let first = nodes.first, first.deadline <= now else { return nil }
        return remove(at: 0)
    }

    @inlinable
    mutating func remove(at position: Int) -> Payload? {
        let place = Int(nodes[position].place)
        let payload = entries[place].payload
        entries[place].payload = nil
        entries[place].generation &+= 1
        entries[place].position = free
        free = UInt32(truncatingIfNeeded: place)
        let last = nodes.removeLast()
        if position < nodes.count {
            nodes[position] = last
            siftDown(position)
            siftUp(Int(entries[Int(last.place)].position))
        }
        return payload
    }

    @inlinable
    mutating func siftUp(_ start: Int) {
        let node = nodes[start]
        var position = start
        while position > 0 {
            let parent = (position - 1) / Self.arity
            if nodes[parent].deadline <= node.deadline { break }
            put(nodes[parent], at: position)
            position = parent
        }
        put(node, at: position)
    }

    @inlinable
    mutating func siftDown(_ start: Int) {
        let node = nodes[start]
        var position = start
        while true {
            let first = position * Self.arity + 1
            if first >= nodes.count { break }
            var least = first
            for child in first..<min(first + Self.arity, nodes.count)
            where nodes[child].deadline < nodes[least].deadline {
                least = child
            }
            if nodes[least].deadline >= node.deadline { break }
            put(nodes[least], at: position)
            position = least
        }
        put(node, at: position)
    }

    @inlinable
    mutating func put(_ node: Node, at position: Int) {
        nodes[position] = node
        entries[Int(node.place)].position = UInt32(truncatingIfNeeded: position)
    }
}

extension DeadlineHeap: Sendable where Payload: Sendable {}
extension DeadlineHeap.Entry: Sendable where Payload: Sendable {}
extension DeadlineHeap.Node: Sendable where Payload: Sendable {}
