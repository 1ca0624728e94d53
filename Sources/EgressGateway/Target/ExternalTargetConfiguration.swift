import Instrument
import Reactor

/// The settings of an external target.
public struct ExternalTargetConfiguration: Sendable {
    /// Where it listens; an IPv6 wildcard takes IPv4 clients too.
    public var listen = SocketAddress(.anyV6, port: 1337)
    /// Sources within one of these are answered.
    public var allowed: [CIDR]
    /// Whether an answered connection stays open until the client closes it.
    public var keepsOpen = false
    /// Where `/metrics` and `/status` are served; nil for nowhere.
    public var metricsListen: SocketAddress?
    /// The sources that may use `/metrics` and `/status`; empty for all.
    public var allowFrom = AccessRule()
    /// A CSV file for the source of every connection; nil for none.
    public var recordPath: String?

    /// All but this at their defaults.
    public init(allowed: [CIDR]) {
        self.allowed = allowed
    }

    func allows(_ source: IPAddress) -> Bool {
        allowed.contains { $0.contains(source) }
    }
}
