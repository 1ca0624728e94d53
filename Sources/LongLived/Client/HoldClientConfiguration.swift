import HTTPCodec
import Pacing
import Reactor

/// The settings of a client that holds connections.
public struct HoldClientConfiguration: Sendable {
    /// What is asked for.
    public var target: HoldTarget
    /// Connections to hold.
    public var connections = 1
    /// The pause between an answer and the next request on its connection.
    public var think: ClosedRange<Duration> = .seconds(1) ... .seconds(3)
    /// Requests in all; nil for any number.
    public var requests: Int?
    /// From the start to the end; nil for no end.
    public var duration: Duration?
    /// Connections opened a second; nil for no limit.
    public var openRate: Double?
    /// Dials under way at once.
    public var dialing = 64
    /// The longest a dial may take.
    public var connectTimeout = Duration.seconds(5)
    /// The longest an answer may take; nil for any time.
    public var timeout: Duration? = .seconds(120)
    /// Between two look-ups of the name; nil for one only.
    public var resolveInterval: Duration?
    /// The addresses to connect from, of one family; empty leaves the choice to the kernel.
    public var sources: [IPAddress] = []
    /// Connections at once from one of ``sources``.
    public var perSource = 10_000
    /// Pods that are known to share the answers, whether they have answered or not; nil where only
    /// those count that are alive.
    public var pods: Int?
    /// Decides about pauses.
    public var seed: UInt64 = 0

    /// All but the target at their defaults.
    public init(target: HoldTarget) { self.target = target }

    /// Descriptors besides those of the connections: the loop's, standard streams, look-ups.
    public static let reservedDescriptors = 32

    /// Sources on the loopback network, for a target there, where one alone would not do: the
    /// kernel's search for free ports gets slow long before they run out. Empty where the target
    /// lies elsewhere or one source suffices.
    public func loopbackSources(for address: IPAddress) -> [IPAddress] {
        guard let bits = address.v4Bits, bits >> 24 == 127, connections > perSource else {
            return []
        }
        let count = (connections + perSource - 1) / perSource
        return (0..<count).map { IPAddress(v4: 0x7F00_0001 + UInt32(clamping: $0)) }
    }

    func machine() -> HoldMachine {
        var configuration = HoldMachine.Configuration()
        configuration.connections = connections
        configuration.think = think
        configuration.requests = requests
        configuration.duration = duration
        configuration.openRate = openRate
        configuration.dialing = dialing
        configuration.timeout = timeout
        configuration.sources = sources.count
        configuration.perSource = perSource
        configuration.seed = seed
        return HoldMachine(configuration: configuration)
    }
}

/// What a client asks for: `http://host[:port][/path][?query]`.
public struct HoldTarget: Sendable, Equatable, CustomStringConvertible {
    /// A name or an address, without brackets.
    public let host: String
    /// 80 unless said.
    public let port: UInt16
    /// As in the Host field.
    public let authority: String
    /// Path and query.
    public let path: String

    /// Nil for anything else, user information and fragments included.
    public init?(_ text: String) {
        guard text.lowercased().hasPrefix("http://") else { return nil }
        let rest = text.dropFirst(7)
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = String(rest[..<end])
        let tail = rest[end...]
        path = tail.hasPrefix("/") ? String(tail) : "/" + tail
        guard HeadWriter.isTarget(path), !path.contains("#") else { return nil }
        guard let (host, port) = HoldTarget.split(authority), port != 0 else { return nil }
        self.host = host
        self.port = port
        self.authority = authority
    }

    private static func split(_ authority: String) -> (String, UInt16)? {
        let isLiteral = authority.hasPrefix("[")
        var host: String
        var port: UInt16 = 80
        if let parts = SocketAddress.split(authority) {
            host = String(parts.host)
            port = parts.port
        } else if isLiteral, authority.hasSuffix("]") {
            host = String(authority.dropFirst().dropLast())
        } else {
            guard !authority.contains(":") else { return nil }
            host = authority
        }
        let isName = host.utf8.allSatisfy {
            $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "@") && $0 != UInt8(ascii: "#")
        }
        guard !host.isEmpty, isName, isLiteral == host.contains(":") else { return nil }
        if isLiteral, IPAddress(host) == nil { return nil }
        return (host, port)
    }

    /// The request, the same for all connections.
    var request: [UInt8] {
        let head = "GET \(path) HTTP/1.1\r\nHost: \(authority)\r\nUser-Agent: sonde\r\nAccept: */*"
        return Array((head + "\r\n\r\n").utf8)
    }

    public var description: String { "http://\(authority)\(path)" }
}
