import Instrument
import Pacing
import Reactor

/// The settings of a fan-out proxy pod.
public struct ProxyConfiguration: Sendable {
    /// Where the API listens.
    public var listen = SocketAddress(.anyV6, port: 9002)
    /// The sources that may use the API; empty for all.
    public var allowFrom = AccessRule()
    /// Where a client listens that `/initiate` names without a port.
    public var clientPort: UInt16 = 9001
    /// Exchanges with clients at a time. 20 is what the older tool has.
    public var parallel = 512
    /// Bytes of lists on their way at a time, roughly: with long lists fewer are delivered at once,
    /// as each is copied until the kernel has taken it. At least 16 are delivered at once all the
    /// same.
    public var deliveryBytes = 16 << 20
    /// The longest one exchange with a client may take.
    public var requestTimeout = Duration.seconds(10)
    /// How long after the first request to a client further ones are made.
    public var giveUp = Duration.seconds(300)
    /// The waits between the requests to a client that fails.
    public var backoff = Backoff()
    /// Requests for the results of a client to which its list could not be delivered. It may have
    /// the list all the same, but is not worth the whole time a second time.
    public var attemptsAfterGivenUp = 3
    /// Of the waits' jitter; nil for one that differs from run to run.
    public var seed: UInt64?
    /// Whether every single result is logged.
    public var logsResults = false
    /// The longest body of `/initiate`, in bytes.
    public var maxBodyBytes: Int64 = 256 << 20
    /// Bytes of content that is being received, of all connections together.
    public var maxBodyMemory: Int64 = 512 << 20
    /// The longest results of one client, in bytes.
    public var maxResultBytes: Int64 = 64 << 20
    /// Targets in one client's list, at most.
    public var maxTargets = 1_000_000

    /// Everything at its default.
    public init() {}

    /// Deliveries at a time where all lists together have so many bytes.
    func parallelDeliveries(clients: Int, bytes: Int) -> Int {
        guard clients > 0, bytes > 0 else { return parallel }
        return min(parallel, max(16, deliveryBytes / max(1, bytes / clients)))
    }
}
