import JSONCodec
import Telemetry

/// A connection list as a client gets it in the body of `/check`, laid out flat: one target for
/// each entry × address × port.
///
/// Wire form: `[{"addresses":["10.0.0.2"],"ports":[8080],"netpol":"ingress-0-1"},…]`.
public struct ConnectionList: Sendable, Equatable {
    /// What is probed. 16 bytes, so that ten thousand are nothing.
    public struct Target: Sendable, Equatable {
        /// The index of its entry in the list: `connectionidx` of its result.
        public var entry: UInt32
        /// The index into `addresses`.
        public var address: UInt32
        /// The index into `policies`.
        public var policy: UInt32
        /// 1 to 65535.
        public var port: UInt16
    }

    /// In the list's order; within an entry by address, then by port.
    public internal(set) var targets: [Target] = []
    /// As written, the brackets of IPv6 literals taken off. Usually literals; names are possible.
    public internal(set) var addresses: [String] = []
    /// The distinct policy names, in the order of their first mention.
    public internal(set) var policies: [String] = []
    /// How many entries the list has; some may have no target.
    public internal(set) var entryCount = 0
    /// What was passed over.
    public internal(set) var skipped = SkippedEntries()

    /// An empty list.
    public init() {}

    /// The address as it is to be connected to.
    public func address(of target: Target) -> String { addresses[Int(target.address)] }
    /// The name of the policy that is to open it.
    public func policy(of target: Target) -> String { policies[Int(target.policy)] }
}

/// How an address that used to answer stopped doing so (`--expect deny`).
public enum DenialKind: String, Sendable, CaseIterable {
    /// Nothing came back any more.
    case drop
    /// The connection was reset or refused.
    case reset
    /// ICMP said that there is no way.
    case unreachable
}

/// When one address first answered (or, for a denial, first failed to): one element of `/results`.
///
/// The first five members are what the older tools read and write; the others are ours.
public struct ConnectionResult: Sendable, Equatable {
    /// As the connection list has it.
    public var address: String
    /// As the connection list has it.
    public var port: UInt16
    /// The index of its entry in the connection list. Written as `connectionidx`; an older proxy
    /// writes `ingressidx`, which is read as well.
    public var connectionIndex: Int
    /// The policy's name in the connection list; `npname` on the wire.
    public var policy: String
    /// When the head of the answer arrived.
    public var timestamp: WallClock
    /// When the first connection to it stood: the policy let it be reached by then. Nil where the
    /// writer does not say.
    public var connectedAt: WallClock?
    /// The start of the last probe that is known not to have been let through: the opening lies
    /// between this moment and `timestamp`. Nil where none was seen.
    public var notBefore: WallClock?
    /// Probes sent until the success; nil where the writer does not count them.
    public var attempts: Int?
    /// From the start of the successful probe's connect to its completion.
    public var connectTime: Duration?
    /// Set in results of `--expect deny` only.
    public var denied: DenialKind?

    /// A result with what is known.
    public init(
        address: String, port: UInt16, connectionIndex: Int, policy: String, timestamp: WallClock,
        connectedAt: WallClock? = nil, notBefore: WallClock? = nil, attempts: Int? = nil,
        connectTime: Duration? = nil, denied: DenialKind? = nil
    ) {
        self.address = address
        self.port = port
        self.connectionIndex = connectionIndex
        self.policy = policy
        self.timestamp = timestamp
        self.connectedAt = connectedAt
        self.notBefore = notBefore
        self.attempts = attempts
        self.connectTime = connectTime
        self.denied = denied
    }

    /// How far the opening may lie before `timestamp`; nil where nothing bounds it.
    public var uncertainty: Duration? { notBefore.map { timestamp - $0 } }

    /// Writes the result as one value. Members without a value are written as null, `denied` is
    /// left out.
    public func write(to json: inout JSONWriter) {
        json.beginObject()
        json.member("address", string: address)
        json.member("port", integer: port)
        json.member("connectionidx", integer: connectionIndex)
        json.member("npname", string: policy)
        json.key("timestamp")
        Self.write(timestamp, to: &json)
        json.key("connectedat")
        if let connectedAt { Self.write(connectedAt, to: &json) } else { json.null() }
        json.key("notbefore")
        if let notBefore { Self.write(notBefore, to: &json) } else { json.null() }
        json.key("uncertaintyms")
        Self.write(uncertainty, to: &json)
        json.key("attempts")
        if let attempts { json.integer(attempts) } else { json.null() }
        json.key("connectms")
        Self.write(connectTime, to: &json)
        if let denied { json.member("denied", string: denied.rawValue) }
        json.endObject()
    }

    /// The body of a client's `/results`: an array and a line feed. Made piece by piece when asked
    /// for, so that a reader who takes his time costs no whole document; nil after the last one.
    public static func document(
        _ results: some Sequence<ConnectionResult>
    ) -> () -> [UInt8]? {
        var json = JSONWriter()
        json.beginArray()
        var rest = Optional(results.makeIterator())
        return {
            guard rest != nil else { return nil }
            while json.bytes.count < pieceBytes {
                guard let result = rest?.next() else {
                    rest = nil
                    json.endArray()
                    json.bytes.append(UInt8(ascii: "\n"))
                    break
                }
                result.write(to: &json)
            }
            defer { json.bytes = [] }
            return json.bytes
        }
    }

    private static let pieceBytes = 64 << 10

    private static func write(_ moment: WallClock, to json: inout JSONWriter) {
        json.string(moment.description)
    }

    private static func write(_ duration: Duration?, to json: inout JSONWriter) {
        if let duration { json.double(duration.inMilliseconds) } else { json.null() }
    }
}
