import Pacing

/// The connections of a client: who gets one, who waits, and which are kept.
///
///     event                                      action
///     request, an idle connection is there       use it: the one used last
///     request, room for another                  open
///     request, no room                           waits; what was idle longest is closed
///     a connection becomes idle, somebody waits  used by the next who waits for its origin
///     …, others wait                             closed: its place is theirs
///     …, nobody waits                            kept, up to a number of each origin
///     kept for the idle time                     closed
///     a connection ends, somebody waits          open, for the first for whose origin is room
///
/// Connections that are open, being opened or idle all count. First come, first served, but that
/// nobody waits for an origin which is at its limit while others have room.
public struct ClientPoolMachine<Origin: Hashable, Connection, Call>: Machine {
    /// What is to be done.
    public enum Action {
        /// Send the request on this connection, which is not idle any more.
        case use(Connection, Call)
        /// Open a connection for the request.
        case open(Call)
        /// Close an idle connection, which the pool has forgotten; ``ended(_:_:)`` follows.
        case close(Connection)
    }

    /// How many connections there may be.
    public struct Limits: Equatable, Sendable {
        /// Of all origins together.
        public var connections: Int
        /// Of one origin.
        public var connectionsPerOrigin: Int
        /// Idle, of one origin.
        public var idlePerOrigin: Int
        /// How long one is kept idle.
        public var idleTime: Duration

        /// Limits; see the properties.
        public init(
            connections: Int, connectionsPerOrigin: Int, idlePerOrigin: Int, idleTime: Duration
        ) {
            self.connections = connections
            self.connectionsPerOrigin = connectionsPerOrigin
            self.idlePerOrigin = idlePerOrigin
            self.idleTime = idleTime
        }
    }

    /// What there is of one origin; forgotten with its last connection.
    @usableFromInline
    struct Site {
        @usableFromInline var count = 0
        /// The one used last at the end.
        @usableFromInline var idle: [(connection: Connection, token: DeadlineToken)] = []

        @inlinable
        init() {}
    }

    @usableFromInline let limits: Limits
    @usableFromInline var sites: [Origin: Site] = [:]
    @usableFromInline var deadlines: DeadlineQueue<(Origin, Connection)>
    @usableFromInline var waiting = WaitingLine<Origin, Call>()

    @usableFromInline var openCount = 0

    /// Without connections.
    @inlinable
    public init(limits: Limits) {
        self.limits = limits
        deadlines = DeadlineQueue(timeout: limits.idleTime)
    }

    /// Connections that are open or being opened, idle ones included.
    @inlinable
    public var connectionCount: Int { openCount }
    /// How many connections are idle.
    @inlinable
    public var idleCount: Int { deadlines.count }
    /// All that are idle.
    @inlinable
    public var idleConnections: [Connection] {
        sites.values.flatMap { $0.idle.map(\.connection) }
    }
    /// How many requests wait for a connection.
    @inlinable
    public var waitingCount: Int { waiting.count }
    /// When the next idle connection has been kept for long enough.
    @inlinable
    public var nextDeadline: Instant? { deadlines.nextDeadline }

    /// A request wants a connection.
    /// - Returns: its ticket where it has to wait, for ``withdraw(_:)``.
    @inlinable
    public mutating func request(
        _ call: Call, to origin: Origin, _ actions: inout [Action]
    ) -> UInt64? {
        if let last = sites[origin]?.idle.popLast() {
            deadlines.cancel(last.token)
            actions.append(.use(last.connection, call))
            return nil
        }
        if hasRoom(origin) {
            count(origin, 1)
            actions.append(.open(call))
            return nil
        }
        // Makes room, where it is the sum that is used up: for whoever waits longest.
        if !isFull(origin) { closeOldest(now: Instant(nanoseconds: .max), &actions) }
        return waiting.append(call, origin)
    }

    /// A request waits no longer.
    @inlinable
    public mutating func withdraw(_ ticket: UInt64) { waiting.remove(ticket) }

    /// A connection can be used again.
    /// - Returns: by what it is known while it is kept idle, for ``forget(_:of:)``.
    @inlinable
    public mutating func becameIdle(
        _ connection: Connection, of origin: Origin, now: Instant, _ actions: inout [Action]
    ) -> DeadlineToken? {
        if let call = waiting.popFirst(of: origin) {
            actions.append(.use(connection, call))
            return nil
        }
        // Of those who wait, none can have this one, but some its place.
        let isWanted = waiting.hasWaiter { !isFull($0) }
        guard !isWanted, sites[origin]?.idle.count ?? 0 < limits.idlePerOrigin else {
            actions.append(.close(connection))
            return nil
        }
        let token = deadlines.start((origin, connection), now: now)
        sites[origin]?.idle.append((connection, token))
        return token
    }

    /// An idle connection is closing by itself: nobody is to get it any more.
    @inlinable
    public mutating func forget(_ token: DeadlineToken, of origin: Origin) {
        deadlines.cancel(token)
        sites[origin]?.idle.removeAll { $0.token == token }
    }

    /// A connection is gone, or could not be had.
    @inlinable
    public mutating func ended(_ origin: Origin, _ actions: inout [Action]) {
        count(origin, -1)
        guard openCount < limits.connections,
            let (call, next) = waiting.popFirst(where: { [sites, limits] in
                sites[$0]?.count ?? 0 < limits.connectionsPerOrigin
            })
        else { return }
        count(next, 1)
        actions.append(.open(call))
    }

    /// Closes what was idle for its time.
    @inlinable
    public mutating func tick(now: Instant, _ actions: inout [Action]) {
        while closeOldest(now: now, &actions) {}
    }

    /// Closes the connection that has been idle longest, where its time is over; whether it was.
    @inlinable
    @discardableResult
    mutating func closeOldest(now: Instant, _ actions: inout [Action]) -> Bool {
        guard let (origin, connection) = deadlines.popExpired(now: now) else { return false }
        // The oldest of its origin stands first.
        sites[origin]?.idle.removeFirst()
        actions.append(.close(connection))
        return true
    }

    @inlinable
    func isFull(_ origin: Origin) -> Bool {
        sites[origin]?.count ?? 0 >= limits.connectionsPerOrigin
    }

    @inlinable
    func hasRoom(_ origin: Origin) -> Bool {
        openCount < limits.connections && !isFull(origin)
    }

    @inlinable
    mutating func count(_ origin: Origin, _ change: Int) {
        openCount += change
        sites[origin, default: Site()].count += change
        if change < 0, sites[origin]?.count == 0 { sites[origin] = nil }
    }
}
