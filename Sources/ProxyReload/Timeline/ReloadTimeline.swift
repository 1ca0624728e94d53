import Telemetry

/// Something that was done to the proxy, or a mark that somebody set.
public struct TimelineEvent: Equatable, Sendable {
    /// The command; empty for a mark.
    public let command: String
    /// When it began, in nanoseconds since the start of the test.
    public let startNanoseconds: Int64
    /// When the command ended; nil for a mark, or while it runs.
    public internal(set) var endNanoseconds: Int64?
    /// How it ended: `exit code 0`, `signal 9`, or why it could not be started.
    public internal(set) var result = ""
    /// Whether the command ended with exit code 0; true for a mark.
    public internal(set) var isGood = true

    /// Whether it was set by hand.
    public var isMark: Bool { command.isEmpty }
}

/// A moment in the life of one client.
public struct TimelineMoment: Equatable, Sendable {
    /// In nanoseconds since the start of the test.
    public var nanoseconds: Int64
    /// Counted from zero.
    public var client: Int
    /// The outcome of the request that ended then.
    public var outcome: RequestOutcome
}

/// Takes the rows of a test in the order of their times and keeps what a summary and a page need,
/// in memory that does not grow with their number.
///
/// Every count is exact. What is listed one by one has a limit: ``failures`` (``momentLimit``), the
/// segments of a client (``segmentLimit``) and the places of its changes (`MomentSet.limit`), the
/// bins (`TimelineBins.limit`), the events (``eventLimit``), the instances (`InstanceTable.limit`).
/// Latencies are held in `LatencyHistogram`: within 0.4 % at any value, where HdrHistogram's port
/// to Swift would bring Foundation, and twice the code, for the same.
public struct ReloadTimeline: Sendable {
    /// So many failures are listed with their moments.
    public static let momentLimit = 10_000
    /// So many events have windows; further ones are only counted.
    public static let eventLimit = 256
    /// All clients' segments together, unless each has the fewest that are useful, 16.
    public static let segmentTotal = 20_000

    /// How long after its start the window of an event ends at the latest, in nanoseconds; it also
    /// ends with the next event.
    public let windowNanoseconds: Int64
    /// So many segments has each client at most.
    public let segmentLimit: Int

    /// Who answered.
    public var instances = InstanceTable()
    /// In the order in which they began.
    public private(set) var events: [TimelineEvent] = []
    /// Events beyond ``eventLimit``.
    public private(set) var uncountedEvents = 0
    /// Those of them whose command failed.
    public private(set) var uncountedFailures = 0
    /// The whole test, as one period.
    public private(set) var total = TimelinePeriod(event: nil, start: 0)
    /// Periods that are over.
    public private(set) var closedPeriods: [TimelinePeriod] = []
    /// The period under way.
    public private(set) var period = TimelinePeriod(event: nil, start: 0)
    /// One for each client.
    public private(set) var lanes: [ClientLane]
    /// The test in equal steps of time.
    public private(set) var bins = TimelineBins()
    /// The first ``momentLimit``; the counts are in ``total``.
    public private(set) var failures: [TimelineMoment] = []

    private var periodEnd = Int64.max
    /// Whether some connection carried answers of several instances: then a proxy chooses for each
    /// request, and no connection tells of an instance.
    private(set) var hasSharedConnections = false
    /// When two connections with answers of an instance had last broken off.
    private var lastBreaks: [UInt16: (last: Int64, before: Int64)] = [:]
    /// When one came to a proper end.
    private var lastCloses: [UInt16: Int64] = [:]

    /// - Parameters:
    ///   - clients: how many there are; rows of others are a mistake of the program.
    ///   - window: see ``windowNanoseconds``.
    public init(clients: Int, window: Duration) {
        lanes = Array(repeating: ClientLane(), count: clients)
        segmentLimit = max(Self.segmentTotal / max(clients, 1), 16)
        windowNanoseconds = window.nanoseconds
    }

    /// All periods so far, the one under way last.
    public var periods: [TimelinePeriod] {
        var last = period
        last.openConnections = openConnections
        return closedPeriods + [last]
    }

    /// The number, from one, that rows carry in their event column; 0 before the first event.
    public var eventNumber: Int { events.count }

    /// Adds a row; its time is not before that of the row before it.
    public mutating func record(_ row: RequestRecord) {
        if row.nanoseconds >= periodEnd { endWindow() }
        var (frontChanged, backChanged) = (false, false)
        let client = row.client
        if row.frontPort != 0, lanes[client].frontPort != row.frontPort {
            frontChanged = lanes[client].frontPort != 0
            lanes[client].frontPort = row.frontPort
            if frontChanged { lanes[client].frontChanges.insert(row.nanoseconds) }
        }
        if row.backPort != 0, lanes[client].backPort != row.backPort {
            backChanged = lanes[client].backPort != 0
            lanes[client].backPort = row.backPort
            if backChanged { lanes[client].backChanges.insert(row.nanoseconds) }
        }
        if row.outcome.isFailure { noteFailure(row) }
        if row.outcome.isAnswered {
            lanes[client].append(row, limit: segmentLimit)
        } else {
            lanes[client].interrupt()
        }
        if let end = lanes[client].connection.follow(row) {
            if end.isBroken {
                let before = lastBreaks[end.instance]?.last ?? -1
                lastBreaks[end.instance] = (row.nanoseconds, before)
            } else {
                lastCloses[end.instance] = row.nanoseconds
            }
        }
        if lanes[client].connection.isShared { hasSharedConnections = true }
        total.record(row, frontChanged: frontChanged, backChanged: backChanged)
        period.record(row, frontChanged: frontChanged, backChanged: backChanged)
        bins.record(row, frontChanged: frontChanged, backChanged: backChanged)
    }

    /// An event begins, and with it its window.
    /// - Returns: its place in ``events``; nil beyond ``eventLimit``.
    @discardableResult
    public mutating func beginEvent(command: String, at nanoseconds: Int64) -> Int? {
        guard events.count < Self.eventLimit else {
            uncountedEvents += 1
            return nil
        }
        if nanoseconds >= periodEnd { endWindow() }
        begin(TimelinePeriod(event: events.count, start: nanoseconds))
        let (end, overflow) = nanoseconds.addingReportingOverflow(windowNanoseconds)
        periodEnd = overflow ? .max : end
        events.append(TimelineEvent(command: command, startNanoseconds: nanoseconds))
        return events.count - 1
    }

    /// The command of an event has ended, or could not be started.
    /// - Parameter index: nil for one beyond ``eventLimit``.
    public mutating func endEvent(
        _ index: Int?, result: String, isGood: Bool, at nanoseconds: Int64
    ) {
        guard let index, events.indices.contains(index) else {
            if !isGood { uncountedFailures += 1 }
            return
        }
        events[index].endNanoseconds = nanoseconds
        events[index].result = result
        events[index].isGood = isGood
    }

    private mutating func endWindow() {
        begin(TimelinePeriod(event: nil, start: periodEnd))
        periodEnd = .max
    }

    private mutating func begin(_ next: TimelinePeriod) {
        period.endNanoseconds = next.startNanoseconds
        period.openConnections = openConnections
        // Between two events at once nothing happened, and nothing is to be compared.
        if period.requests > 0 || period.event != nil { closedPeriods.append(period) }
        period = next
    }

    private var openConnections: [UInt16: Int] {
        lanes.reduce(into: [:]) { counts, lane in
            guard lane.connection.isOpen, let instance = lane.connection.instance else { return }
            counts[instance, default: 0] += 1
        }
    }

    /// Whether connections of an instance broke off after its last answer and none came to a proper
    /// end, while an older one of another instance is still open. That none of its own is open, and
    /// none came back, is known. A single one is none of these: it may have broken off by itself,
    /// and its successor have gone elsewhere by chance.
    func isCutOff(_ instance: UInt16, since last: Int64) -> Bool {
        guard !hasSharedConnections, lastBreaks[instance]?.before ?? -1 >= last,
            lastCloses[instance] ?? -1 < last
        else { return false }
        return lanes.map(\.connection).contains {
            $0.isOpen && $0.start < last && $0.instance != nil && $0.instance != instance
        }
    }

    private mutating func noteFailure(_ row: RequestRecord) {
        lanes[row.client].failures.insert(row.nanoseconds)
        guard failures.count < Self.momentLimit else { return }
        failures.append(
            TimelineMoment(
                nanoseconds: row.nanoseconds, client: row.client, outcome: row.outcome))
    }
}
