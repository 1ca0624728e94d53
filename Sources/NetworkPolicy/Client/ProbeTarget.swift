import Reactor

/// What a client probes: one entry × address × port of its connection list.
struct ProbeTarget: Equatable, Sendable {
    /// The socket address; nil when the list gives a name, which is then looked up for each probe.
    var address: SocketAddress?
    /// As the list has it.
    var host: String
    var port: UInt16
    /// The place of its entry in the connection list.
    var entry: Int
}
