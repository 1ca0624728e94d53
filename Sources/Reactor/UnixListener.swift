import CLibuv

/// Accepts connections on a Unix socket; see ``StreamListener``.
public final class UnixListener: StreamListener {
    private var onConnection: ((UnixConnection) -> Void)?
    /// Whose file it is: another process may have put its own in its place.
    private var file = sonde_file_identity(device: 0, inode: 0)

    /// Where it listens.
    public let path: String

    /// Opens, binds and listens.
    ///
    /// A socket's file that nobody listens on any more, as a process that was killed leaves it, is
    /// replaced; one that is alive, or anything else of that name, is an error (address already in
    /// use). ``StreamListener/close()`` removes the file, unless it is another's by then.
    ///
    /// - Parameters:
    ///   - path: of the file, at most 107 bytes; or `@` and an abstract name of Linux.
    ///   - permissions: of the file, set before anybody can connect (`0o600`); nil: as the
    ///     process's umask leaves them. Whoever may write to it, may connect.
    ///   - backlog: connections that the kernel holds until they are accepted; it may cap this.
    ///   - onConnection: gets each connection, with reading paused. It stays open until somebody
    ///     closes it, even if nobody keeps it.
    /// - Throws: ``UVError`` with the path.
    public init(
        loop: EventLoop, path: String, permissions: UInt16? = nil, backlog: Int = 4096,
        onConnection: @escaping (UnixConnection) -> Void
    ) throws(UVError) {
        self.path = path
        self.onConnection = onConnection
        let backlog = Int32(clamping: backlog)
        let mode = permissions.map { Int32($0 & 0o7777) } ?? -1
        var (name, file) = (path, sonde_file_identity(device: 0, inode: 0))
        let descriptor = name.withUTF8 {
            sonde_unix_listen($0.baseAddress, $0.count, backlog, mode, &file)
        }
        self.file = file
        try super.init(
            loop: loop, descriptor: descriptor, busyPoll: .zero, operation: "listen on \(path)")
    }

    override func accepted(_ descriptor: Int32, _ peer: inout sockaddr_storage) -> Bool {
        let connection = UnixConnection(loop: loop)
        guard let onConnection, connection.adopt(descriptor, path: path) else { return false }
        onConnection(connection)
        return true
    }

    override func closed() {
        onConnection = nil
        var name = path
        name.withUTF8 { sonde_unix_remove($0.baseAddress, $0.count, file) }
    }
}
