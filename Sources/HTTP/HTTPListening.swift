import Reactor

/// What brings an ``HTTPServer`` its connections; see ``HTTPServer/attach(_:)``.
public protocol HTTPListening: AnyObject {
    /// Where it listens; nil where that is no IP address.
    var boundAddress: SocketAddress? { get }
    /// Leaves new peers waiting until ``resume()``.
    func pause()
    /// Accepts again.
    func resume()
    /// Accepts no more, and breaks off what it has not handed to the server. Idempotent.
    func close()
}

extension TCPListener: HTTPListening {
    /// Where it listens.
    public var boundAddress: SocketAddress? { localAddress }
}

extension UnixListener: HTTPListening {
    /// It has a path.
    public var boundAddress: SocketAddress? { nil }
}
