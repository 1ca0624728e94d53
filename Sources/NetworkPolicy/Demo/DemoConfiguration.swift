import Pacing
import Reactor

/// The size and pace of a demo run.
public struct DemoConfiguration: Sendable {
    /// Client pods.
    public var clients = 20
    /// Policies; each opens one target of one client.
    public var policies = 200
    /// Policies created per second.
    public var rate = 50.0
    /// How long the made-up network takes from a policy's creation until the target is open.
    public var enforcement = Duration.milliseconds(20) ... .milliseconds(200)
    /// How the clients probe.
    public var probing = ClientConfiguration()
    /// Of order, delays and jitter.
    public var seed: UInt64 = 1

    /// Everything at its default.
    public init() {}

    /// The address of a target: all within 127.64.0.0/10, which is this machine.
    func targetAddress(_ policy: Int, port: UInt16) -> SocketAddress {
        let host = UInt32(policy / 250) << 8 | UInt32(policy % 250 + 1)
        return SocketAddress(IPAddress(v4: 0x7F40_0000 | host), port: port)
    }

    /// The address of a client pod, within 127.32.0.0/11.
    func clientAddress(_ client: Int) -> SocketAddress {
        let host = UInt32(client / 250) << 8 | UInt32(client % 250 + 1)
        return SocketAddress(IPAddress(v4: 0x7F20_0000 | host), port: 0)
    }

    /// When each policy is created and takes effect, counted from the start of the schedule.
    func schedule() -> [(policy: Int, created: Duration, opens: Duration)] {
        var random = SeededRandom(seed: seed)
        return (0..<policies).shuffled(using: &random).enumerated().map { turn, policy in
            let created = Duration.nanoseconds(Int64(Double(turn) / rate * 1e9))
            return (policy, created, created + random.duration(in: enforcement))
        }
    }
}

/// How far a demo run has come.
public struct DemoProgress: Equatable, Sendable {
    /// What is happening, in a word or two.
    public var phase: String
    /// Policies created so far.
    public var created: Int
    /// Targets opened so far.
    public var opened: Int
    /// Targets whose first answer was noted.
    public var detected: Int
    /// Policies in all.
    public var policies: Int
}
