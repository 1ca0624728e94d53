import CLibuv
import Pacing

/// Accepts TCP connections on one address; see ``StreamListener``.
public final class TCPListener: StreamListener {
    private var onConnection: ((TCPConnection) -> Void)?

    /// The address in use; its port is the one the kernel chose when 0 was asked for.
    public let localAddress: SocketAddress

    /// Opens, binds and listens.
    ///
    /// - Parameters:
    ///   - address: an IPv6 address takes IPv4 peers too where the system is dual-stack.
    ///   - backlog: connections that the kernel holds until they are accepted; it may cap this.
    ///   - busyPoll: when two connections came within this time, the loop goes on asking for the
    ///     next one for as long, instead of sleeping. A peer on the same machine then need not wake
    ///     it for every connection of a burst: measured, a sixth of what connecting costs the peer.
    ///     Zero: never. Has no effect on a single processor.
    ///   - reusePort: lets several processes share the port, the kernel dividing connections.
    ///   - onConnection: gets each connection, with reading paused. It stays open until somebody
    ///     closes it, even if nobody keeps it.
    /// - Throws: ``UVError`` with the address: in use, not of this machine, not permitted.
    public init(
        loop: EventLoop, address: SocketAddress, backlog: Int = 4096, reusePort: Bool = false,
        busyPoll: Duration = .zero,
        onConnection: @escaping (TCPConnection) -> Void
    ) throws(UVError) {
        let backlog = Int32(clamping: backlog)
        let descriptor = address.withSockaddr { sonde_listen($0, backlog, reusePort ? 1 : 0) }
        self.onConnection = onConnection
        localAddress = SocketAddress.read { sonde_local_address(descriptor, $0) } ?? address
        try super.init(
            loop: loop, descriptor: descriptor, busyPoll: busyPoll, operation: "listen on",
            address: address)
    }

    override func accepted(_ descriptor: Int32, _ peer: inout sockaddr_storage) -> Bool {
        let address = withUnsafePointer(to: peer) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { SocketAddress($0) }
        }
        let connection = TCPConnection(loop: loop)
        guard let onConnection, connection.adopt(descriptor, peer: address) else { return false }
        onConnection(connection)
        return true
    }

    override func closed() { onConnection = nil }
}
