/// What became of bytes given to a stream's ``ByteStream/write(_:)-swift.method``.
public enum WriteOutcome: Sendable {
    /// Sent, or queued below the high-water mark: go on.
    case flowing
    /// Queued, and the queue is past the high-water mark: wait for `onWritable`.
    case backpressured
    /// Dropped: the stream is not open, or not for writing any more.
    case closed
}

/// Why a stream ended.
public protocol StreamFailure: Error, CustomStringConvertible {
    /// Whether this machine, and not the peer or the path, is to blame.
    var isLocal: Bool { get }
}

extension UVError: StreamFailure {}

/// Why a stream ended, for whoever serves streams of any kind.
public struct StreamError: StreamFailure, Equatable {
    /// As a person would say it.
    public let description: String
    /// See ``StreamFailure``.
    public let isLocal: Bool
    /// What the system said; nil for what a protocol in between found.
    public let systemError: UVError?

    /// Says what `failure` says.
    public init(_ failure: any StreamFailure) {
        if let same = failure as? StreamError {
            self = same
            return
        }
        description = failure.description
        isLocal = failure.isLocal
        systemError = failure as? UVError
    }
}

/// A connection that carries bytes both ways in order: what a protocol needs of it, and no more.
///
/// Protocols are generic over it, and specialized for the kind that they run on; nothing here is
/// called through an existential. Callbacks get the stream as their first argument, so that one
/// closure can serve thousands of them (``context`` and ``tag`` tell whose it is). All but
/// ``onClose`` are dropped by ``close()``. Nothing is called from inside the call that causes it.
public protocol ByteStream: AnyObject {
    /// How it fails.
    associatedtype Failure: StreamFailure

    /// The loop it lives on.
    var loop: EventLoop { get }
    /// Whether bytes can be exchanged: established, and not closed by this side.
    var isOpen: Bool { get }
    /// The other end, where it has an address of its own.
    var peerAddress: SocketAddress? { get }
    /// This end, where it has an address of its own.
    var localAddress: SocketAddress? { get }
    /// Whether nobody on the way can read or change the bytes.
    var isSecure: Bool { get }
    /// Bytes accepted by ``write(_:)-swift.method`` that the kernel has not taken yet, to the byte:
    /// a slow reader is seen to make progress long before a large write has ended.
    var unsentBytes: Int { get }
    /// Of what was ever queued, the bytes that the peer has confirmed, up to a constant: it grows
    /// while the peer takes something, within one large write too. Only the difference of two
    /// values means something, and only while something is queued.
    var takenBytes: Int64 { get }
    /// Bytes that have come and were not handed out yet; 0 where it is not open.
    var unreadBytes: Int { get }

    /// For whoever uses the stream: the object behind it. Dropped by ``close()``.
    var context: AnyObject? { get set }
    /// For whoever uses the stream: a number to find its state by.
    var tag: Int { get set }

    /// Gets bytes as they arrive, borrowed for the length of the call. Reading starts paused.
    var onRead: ((Self, UnsafeRawBufferPointer) -> Void)? { get set }
    /// The peer sends no more: nil where it said so itself, else the reason. Called once; without
    /// it the stream closes itself.
    var onEnd: ((Self, Failure?) -> Void)? { get set }
    /// Writing may go on after ``write(_:)-swift.method`` answered `backpressured`.
    var onWritable: ((Self) -> Void)? { get set }
    /// Descriptor and memory are free.
    var onClose: ((Self) -> Void)? { get set }

    /// Reads until ``pauseReading()``.
    func resumeReading()
    /// Leaves further bytes on their way, which makes the peer stop sending in time.
    func pauseReading()

    /// Sends bytes: as many as the kernel takes now, the rest copied and queued.
    @discardableResult
    func write(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome

    /// Ends this side's direction after what is queued; the peer may go on sending.
    func endWriting()
    /// Closes once everything queued has been sent. Later writes are dropped.
    func closeAfterWriting()
    /// Closes; bytes still queued are dropped. Idempotent, and safe inside every callback.
    func close()
    /// Closes at once, and so that the peer sees that something is missing.
    func abort()
}

extension ByteStream {
    /// Most are not.
    public var isSecure: Bool { false }

    /// Sends bytes: as many as the kernel takes now, the rest copied and queued.
    @discardableResult
    public func write(_ bytes: [UInt8]) -> WriteOutcome {
        bytes.withUnsafeBytes { write($0) }
    }
}

extension TCPConnection: ByteStream {}
