/// Who waits for one of a limited number of things: first come, first served, of all or of one key.
///
/// But for passing somebody over, every operation is O(1), spread over many: a ticket that is given
/// back or served stays where it was in the lines, and is passed over or cleared away later.
@usableFromInline
struct WaitingLine<Key: Hashable, Waiter> {
    @usableFromInline
    struct Line {
        @usableFromInline var tickets: [UInt64]
        @usableFromInline var first = 0

        @inlinable
        init(tickets: [UInt64] = []) { self.tickets = tickets }

        @inlinable
        mutating func next() -> UInt64? {
            guard first < tickets.count else { return nil }
            defer { first += 1 }
            return tickets[first]
        }

        /// The last ones that were taken, before what is next.
        @inlinable
        mutating func putBack(_ taken: [UInt64]) {
            tickets.replaceSubrange(..<first, with: taken)
            first = 0
        }
    }

    @usableFromInline var waiters: [UInt64: (key: Key, waiter: Waiter)] = [:]
    @usableFromInline var all = Line()
    @usableFromInline var lines: [Key: Line] = [:]
    @usableFromInline var lastTicket: UInt64 = 0
    /// Tickets in `all` or in one of `lines` for which nobody waits.
    @usableFromInline var stale = 0

    @inlinable
    var isEmpty: Bool { waiters.isEmpty }
    @inlinable
    var count: Int { waiters.count }
    /// Of memory: tickets in both kinds of lines.
    var ticketCount: Int { lines.values.reduce(all.tickets.count) { $0 + $1.tickets.count } }

    @inlinable
    init() {}

    /// - Returns: the ticket for ``remove(_:)``.
    @inlinable
    mutating func append(_ waiter: Waiter, _ key: Key) -> UInt64 {
        lastTicket += 1
        waiters[lastTicket] = (key, waiter)
        all.tickets.append(lastTicket)
        lines[key, default: Line()].tickets.append(lastTicket)
        return lastTicket
    }

    /// Somebody waits no longer; does nothing for who has been served.
    @inlinable
    mutating func remove(_ ticket: UInt64) {
        if serve(ticket) != nil { clearAway() }
    }

    @inlinable
    mutating func popFirst() -> Waiter? { popFirst { _ in true }?.waiter }

    /// The first of those for whom there is something to be had.
    @inlinable
    mutating func popFirst(where canServe: (Key) -> Bool) -> (waiter: Waiter, key: Key)? {
        // Whoever was passed over stays where he was.
        var passed: [UInt64] = []
        defer { if !passed.isEmpty { all.putBack(passed) } }
        while let ticket = all.next() {
            guard let entry = waiters[ticket] else { continue }
            guard canServe(entry.key) else {
                passed.append(ticket)
                continue
            }
            _ = serve(ticket)
            clearAway()
            return (entry.waiter, entry.key)
        }
        return nil
    }

    /// Whether somebody waits for whom there is something to be had.
    @inlinable
    func hasWaiter(where canServe: (Key) -> Bool) -> Bool {
        !waiters.isEmpty && waiters.values.contains { canServe($0.key) }
    }

    @inlinable
    mutating func popFirst(of key: Key) -> Waiter? {
        if waiters.isEmpty { return nil }
        while let ticket = lines[key]?.next() {
            guard let waiter = serve(ticket) else { continue }
            clearAway()
            return waiter
        }
        return nil
    }

    @inlinable
    mutating func serve(_ ticket: UInt64) -> Waiter? {
        guard let entry = waiters.removeValue(forKey: ticket) else { return nil }
        stale += 1
        return entry.waiter
    }

    /// Goes through all lines when at least half of what is in them is stale.
    @inlinable
    mutating func clearAway() {
        guard stale > waiters.count + 16 else { return }
        stale = 0
        all = cleared(all)
        lines = lines.compactMapValues {
            let line = cleared($0)
            return line.tickets.isEmpty ? nil : line
        }
    }

    @inlinable
    func cleared(_ line: Line) -> Line {
        Line(tickets: line.tickets[line.first...].filter { waiters[$0] != nil })
    }
}
