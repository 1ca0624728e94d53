import Instrument
import Pacing
import Reactor

/// The settings of a server that answers late, and of how long it lets connections live.
public struct DelayingServerConfiguration: Sendable {
    /// What becomes of a connection after an answer.
    public enum ConnectionUse: String, Sendable, CaseIterable {
        /// It stays, as long as the client likes: requests stick to the pod they once reached.
        case keepAlive = "keep-alive"
        /// Every answer says `Connection: close`: each request finds its pod anew.
        case close
    }

    /// Where requests come in.
    public var listen = SocketAddress(.anyV6, port: 5000)
    /// Lets several processes listen there, the kernel dividing connections.
    public var reusesPort = false
    /// Each answer waits for a time drawn evenly from here.
    public var delay: ClosedRange<Duration> = .zero ... .zero
    /// The name that every answer bears.
    public var podID: String
    /// What becomes of a connection after an answer.
    public var connectionUse = ConnectionUse.keepAlive
    /// With this many answers a connection closes; nil for any number.
    public var maximumRequests: Int?
    /// The first answer after this long closes the connection; nil for never.
    public var maximumAge: Duration?
    /// A connection without a request for this long closes.
    public var idleTimeout = Duration.seconds(3600)
    /// Where `/metrics` and `/status` are served; nil for nowhere.
    public var metricsListen: SocketAddress?
    /// Sources that may use what is served there; none given: everyone.
    public var allowFrom = AccessRule()
    /// Decides about the delays.
    public var seed: UInt64 = 0

    /// - Parameter podID: a valid field value (RFC 9110 §5.5).
    public init(podID: String) { self.podID = podID }
}
