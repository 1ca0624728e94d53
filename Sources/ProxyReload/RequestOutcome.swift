import HTTPCodec

/// What became of one request: the status that answered it, or why none did.
public struct RequestOutcome: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// 100 to 999: a status. Above: the failures below.
    public let code: UInt16

    private init(_ code: UInt16) { self.code = code }

    /// Answered with this status, of three digits.
    public init(status: Int) { code = UInt16(clamping: min(max(status, 100), 999)) }

    /// Nobody listened, or a firewall answered with a reset.
    public static let refused = RequestOutcome(1000)
    /// No connection within the timeout.
    public static let connectTimedOut = RequestOutcome(1001)
    /// The network said that the host cannot be reached.
    public static let unreachable = RequestOutcome(1002)
    /// The peer reset the connection before the whole response was there.
    public static let reset = RequestOutcome(1003)
    /// The peer closed the connection before the whole response was there.
    public static let closed = RequestOutcome(1004)
    /// No whole response within the timeout.
    public static let timedOut = RequestOutcome(1005)
    /// What came was not HTTP/1.1.
    public static let malformed = RequestOutcome(1006)
    /// Anything else that the system said.
    public static let other = RequestOutcome(1008)
    /// A connection that had carried answers was reset before the first byte of another: the
    /// request crossed its end, and a client may repeat it (RFC 9112 §9.3.1).
    public static let reusedReset = RequestOutcome(1009)
    /// The same by an orderly close.
    public static let reusedClosed = RequestOutcome(1010)
    /// This machine's own affair: neither descriptors nor ports, but memory, or what it cannot do.
    public static let local = RequestOutcome(1100)
    /// This machine's own affair: no descriptor left.
    public static let noDescriptor = RequestOutcome(1101)
    /// This machine's own affair: no port left to connect from.
    public static let noPort = RequestOutcome(1102)

    /// Whether a response came, whatever its status.
    public var isAnswered: Bool { code < 1000 }
    /// Whether the response had status 200.
    public var isSuccess: Bool { code == 200 }
    /// Whether this machine's own trouble kept the request from being sent: nothing that may be
    /// held against the target.
    public var isLocal: Bool { code >= Self.local.code }
    /// Whether it is held against the target.
    public var isFailure: Bool { !isSuccess && !isLocal }

    /// What the end of a connection is for the request on it.
    /// - Parameter isReused: it had carried an answer, and no byte of another had come.
    func ending(reused isReused: Bool) -> RequestOutcome {
        guard isReused else { return self }
        return self == .reset ? .reusedReset : self == .closed ? .reusedClosed : self
    }

    /// In words; for `isAnswered` the three digits.
    public var description: String {
        switch self {
        case .refused: "connection refused"
        case .connectTimedOut: "connect timed out"
        case .unreachable: "host unreachable"
        case .reset: "connection reset"
        case .closed: "connection closed"
        case .timedOut: "timed out"
        case .malformed: "malformed response"
        case .other: "connection failed"
        case .reusedReset: "reused connection reset"
        case .reusedClosed: "reused connection closed"
        case .local: "local: connection not possible"
        case .noDescriptor: "local: no descriptor left"
        case .noPort: "local: no port left"
        default: "\(code)"
        }
    }

    /// As a metric's label: few values, whatever a peer answers. Statuses that nobody has
    /// registered are told apart by their first digit alone.
    var label: String {
        switch self {
        case .refused: "refused"
        case .connectTimedOut: "connect-timeout"
        case .unreachable: "unreachable"
        case .reset: "reset"
        case .closed: "closed"
        case .timedOut: "timeout"
        case .malformed: "malformed"
        case .other: "other"
        case .reusedReset: "reused-reset"
        case .reusedClosed: "reused-closed"
        case .local: "other"
        case .noDescriptor: "descriptors"
        case .noPort: "ports"
        case _ where isSuccess: "success"
        case _ where StatusPhrase.of(Int(code)).utf8CodeUnitCount > 0: "\(code)"
        default: "\(code / 100)xx"
        }
    }

    /// All that are no answer and held against the target.
    static let unanswered: [RequestOutcome] = [
        .refused, .connectTimedOut, .unreachable, .reset, .closed, .timedOut, .malformed, .other,
        .reusedReset, .reusedClosed,
    ]
    /// All that are this machine's own affair.
    static let locals: [RequestOutcome] = [.noDescriptor, .noPort, .local]

    public static func < (a: RequestOutcome, b: RequestOutcome) -> Bool { a.code < b.code }
}

/// What is recorded of one request.
public struct RequestRecord: Equatable, Sendable {
    /// When its outcome was known, in nanoseconds since the start of the test.
    public var nanoseconds: Int64
    /// From its start to its outcome, in nanoseconds. Closed loop: it starts when the client turns
    /// to it, before connecting where that is needed. Open loop: when it was due.
    public var latencyNanoseconds: Int64
    /// Which client, counted from zero.
    public var client: Int
    /// Status or failure.
    public var outcome: RequestOutcome
    /// The instance that answered, by its place in the timeline's table; nil when not known.
    public var instance: UInt16?
    /// The client's own port; 0 when there was no connection.
    public var frontPort: UInt16
    /// The port from which the proxy reached the backend; 0 when not known.
    public var backPort: UInt16

    /// When it began, in nanoseconds since the start of the test.
    var startNanoseconds: Int64 { max(nanoseconds &- latencyNanoseconds, 0) }

    /// Everything as measured.
    public init(
        nanoseconds: Int64, latencyNanoseconds: Int64, client: Int, outcome: RequestOutcome,
        instance: UInt16? = nil, frontPort: UInt16 = 0, backPort: UInt16 = 0
    ) {
        self.nanoseconds = nanoseconds
        self.latencyNanoseconds = latencyNanoseconds
        self.client = client
        self.outcome = outcome
        self.instance = instance
        self.frontPort = frontPort
        self.backPort = backPort
    }
}
