import Telemetry

/// What one instance did in one period.
public struct InstanceShare: Equatable, Sendable {
    /// How many responses named it.
    public internal(set) var answers = 0
    /// The first of them, in nanoseconds since the start of the test.
    public internal(set) var firstNanoseconds: Int64 = 0
    /// The last of them, in nanoseconds since the start of the test.
    public internal(set) var lastNanoseconds: Int64 = 0
    /// Responses of all instances in the period, up to and with its last.
    var answersUpToLast = 0
    /// How often it answered after another instance had.
    public internal(set) var turns = 0
    /// So many responses of others at most came in a row before one of its own.
    public internal(set) var longestWait = 0

    /// It answers, as so manieth of all.
    @inline(__always)
    mutating func answer(_ number: Int, at nanoseconds: Int64) {
        if answers == 0 { firstNanoseconds = nanoseconds }
        let wait = number &- 1 &- answersUpToLast
        if wait > 0 {
            turns &+= 1
            longestWait = max(longestWait, wait)
        }
        answers &+= 1
        lastNanoseconds = nanoseconds
        answersUpToLast = number
    }
}

/// A stretch of the test: the window of one event, or a time that belongs to none.
public struct TimelinePeriod: Sendable {
    /// The event whose window this is, by its place in the timeline; nil for the times between.
    public let event: Int?
    /// In nanoseconds since the start of the test.
    public let startNanoseconds: Int64
    /// In nanoseconds since the start of the test; of the period under way, its last row's.
    public internal(set) var endNanoseconds: Int64
    /// Rows of this period.
    public internal(set) var requests = 0
    /// Rows with status 200.
    public internal(set) var successes = 0
    /// The other rows that are held against the target, by outcome.
    public internal(set) var failures: [RequestOutcome: Int] = [:]
    /// Rows of requests that this machine could not send, by outcome.
    public internal(set) var locals: [RequestOutcome: Int] = [:]
    /// Requests whose front port differed from that of the client's request before.
    public internal(set) var frontChanges = 0
    /// Requests whose back port differed from that of the client's request before.
    public internal(set) var backChanges = 0
    /// Of the answered requests, whatever their status.
    public internal(set) var latency = LatencyHistogram()
    /// By the instance's number; shorter than the table where later instances did not answer.
    public internal(set) var instances: [InstanceShare] = []
    /// Responses that named an instance.
    public internal(set) var answers = 0
    /// At its end, by the instance's number: connections whose latest answer was its own.
    public internal(set) var openConnections: [UInt16: Int] = [:]

    init(event: Int?, start: Int64) {
        self.event = event
        startNanoseconds = start
        endNanoseconds = start
    }

    /// Rows that are held against the target: neither status 200 nor this machine's own trouble.
    public var failureCount: Int { requests - successes - localCount }
    /// Rows of requests that this machine could not send.
    public var localCount: Int { locals.values.reduce(0, +) }

    /// The instance's share; all zero where it did not answer.
    public func share(of instance: UInt16) -> InstanceShare {
        Int(instance) < instances.count ? instances[Int(instance)] : InstanceShare()
    }

    /// The instances that answered in this period, by number.
    public var answering: [UInt16] {
        instances.indices.filter { instances[$0].answers > 0 }.map { UInt16($0) }
    }

    @inline(__always)
    mutating func record(_ row: RequestRecord, frontChanged: Bool, backChanged: Bool) {
        requests &+= 1
        endNanoseconds = row.nanoseconds
        if row.outcome.isAnswered { latency.record(nanoseconds: row.latencyNanoseconds) }
        if row.outcome.isSuccess {
            successes &+= 1
        } else if row.outcome.isLocal {
            locals[row.outcome, default: 0] += 1
        } else {
            failures[row.outcome, default: 0] += 1
        }
        if frontChanged { frontChanges &+= 1 }
        if backChanged { backChanges &+= 1 }
        guard let instance = row.instance.map(Int.init) else { return }
        if instance >= instances.count {
            let missing = instance + 1 - instances.count
            instances.append(contentsOf: repeatElement(InstanceShare(), count: missing))
        }
        answers &+= 1
        instances[instance].answer(answers, at: row.nanoseconds)
    }
}
