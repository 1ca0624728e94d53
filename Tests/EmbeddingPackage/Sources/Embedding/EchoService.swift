import Pacing
import Reactor

/// Sends every byte back to whoever sent it.
///
/// Shows what a service on the reactor consists of: a listener, callbacks that get the connection
/// as their first argument, and a `close` that leaves nothing open.
public final class EchoService {
    private let listener: TCPListener
    private let idle: DeadlineClass<TCPConnection>
    private let clients: Clients

    /// Open connections, and the deadline by which each has to say something.
    private final class Clients {
        var deadlines: [ObjectIdentifier: (connection: TCPConnection, token: DeadlineToken)] = [:]
    }

    /// Where it listens; with port 0 asked for, the port that the kernel chose.
    public var address: SocketAddress { listener.localAddress }

    /// How many clients are connected.
    public var clientCount: Int { clients.deadlines.count }

    /// - Parameter idleTimeout: how long a client may stay silent.
    /// - Throws: `UVError` when the address cannot be had.
    public init(
        loop: EventLoop, address: SocketAddress, idleTimeout: Duration = .seconds(60)
    ) throws(UVError) {
        let clients = Clients()
        let idle = DeadlineClass<TCPConnection>(loop: loop, timeout: idleTimeout) { $0.abort() }
        listener = try TCPListener(loop: loop, address: address) { connection in
            let token = idle.start(connection)
            clients.deadlines[ObjectIdentifier(connection)] = (connection, token)
            connection.onRead = { connection, bytes in
                idle.restart(token)
                // A client that does not read what it gets must not fill our memory.
                if connection.write(bytes) == .backpressured { connection.pauseReading() }
            }
            connection.onWritable = { $0.resumeReading() }
            connection.onEnd = { connection, _ in connection.closeAfterWriting() }
            connection.onClose = { connection in
                idle.cancel(token)
                clients.deadlines[ObjectIdentifier(connection)] = nil
            }
            connection.resumeReading()
        }
        self.idle = idle
        self.clients = clients
    }

    /// Stops listening and drops every client. The loop may be closed after one more turn.
    public func close() {
        listener.close()
        for client in clients.deadlines.values { client.connection.close() }
        idle.close()
    }
}
