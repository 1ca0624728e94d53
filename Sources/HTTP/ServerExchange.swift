import HTTPCodec

/// What a handler wants done with the content of a request.
public enum HTTPBodyHandling {
    /// Read and throw away (or close, where too much is left).
    case ignore
    /// Collect at most `limit` bytes, then call. More is answered with 413, and what finds no room
    /// beside the content of other connections with 503; see
    /// ``HTTPServerConfiguration/maximumBodyMemory``.
    case collect(limit: Int64, then: HTTPServer.Handler)
    /// Call for each slice as it arrives, borrowed for the length of the call, and once at the
    /// end: nil, or why the rest will not come. See ``HTTPResponder/pauseBody()``.
    case stream(
        onSlice: (UnsafeRawBufferPointer) -> Void, onEnd: (HTTPError?) -> Void)
}

/// What ``HTTPResponder/whenPeerEnds(_:)`` tells.
public enum HTTPPeerEnd: Equatable, Sendable {
    /// The peer sends nothing more. It may still read: an answer goes out if there is one.
    case halfClosed
    /// The connection is gone: an answer goes nowhere.
    case gone
}

/// What one connection needs while something is under way on it: a request, a response, or bytes
/// that are not yet either. An idle connection has none; the server keeps a few for reuse.
final class ServerExchange {
    let server: HTTPServer
    /// Unmanaged, because it is asked for several times a request: the server keeps its
    /// connections, and each of them clears this before it goes.
    private var owner: Unmanaged<ServerConnection>?
    var connection: ServerConnection? {
        @inline(__always) get { owner?.takeUnretainedValue() }
        @inline(__always) set { owner = newValue.map(Unmanaged.passUnretained) }
    }
    /// Names the request under way; a responder of any other is out of date.
    var generation: UInt64 = 0
    /// Behind pointers, because mutating a class's property in place is checked at run time.
    let messages: UnsafeMutablePointer<ServerMessageMachine>
    /// Bytes that the machine has not consumed.
    let kept: UnsafeMutablePointer<KeptBytes>

    /// Whether the request under way has left anything below that must be forgotten at its end.
    var hasExtras = false
    /// The head of a request whose content is being collected; made when the first one is, because
    /// thousands of requests that wait for their answers have no content.
    private var head: UnsafeMutablePointer<RequestHead>?
    var headBytes: [UInt8] = []
    var lines: [FieldLine] = []
    /// Content as far as it is collected; the server's budget counts it.
    private(set) var body: [UInt8] = []
    var handling = HTTPBodyHandling.ignore
    /// Whether a handler takes content in slices.
    var isStreamed: Bool { if case .stream = handling { true } else { false } }

    var plan: ResponsePlan?
    var onPeerEnd: ((HTTPPeerEnd) -> Void)?
    var onWritable: (() -> Void)?

    /// Inside `ServerConnection.process`: what is written is flushed at its end.
    var isProcessing = false
    /// A handler has paused the content it is getting.
    var isBodyPaused = false
    /// More is queued for the peer than it takes.
    var isBackpressured = false

    init(server: HTTPServer) {
        self.server = server
        // In one block: where ten thousand requests wait, each has two of them.
        typealias Machine = ServerMessageMachine
        let offset = MemoryLayout<Machine>.stride
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: offset + MemoryLayout<KeptBytes>.stride,
            alignment: MemoryLayout<KeptBytes>.alignment)
        messages = block.initializeMemory(as: Machine.self, to: Machine())
        kept = (block + offset).initializeMemory(as: KeptBytes.self, to: KeptBytes())
    }

    deinit {
        kept.deinitialize(count: 1)
        UnsafeMutableRawPointer(messages.deinitialize(count: 1)).deallocate()
        head?.deallocate()
    }

    /// Ready for another connection. Small buffers are kept.
    func clear() {
        connection = nil
        isProcessing = false
        isBackpressured = false
        if !kept.pointee.isEmpty || kept.pointee.capacity > KeptBytes.smallCapacity {
            kept.pointee = KeptBytes()
        }
        endRequest()
    }

    /// The request under way is over, answered or not.
    func endRequest() {
        generation &+= 1
        plan = nil
        if hasExtras { forgetExtras() }
    }

    private func forgetExtras() {
        hasExtras = false
        _ = takeBody()
        if headBytes.capacity > 4096 { headBytes = [] }
        handling = .ignore
        onPeerEnd = nil
        onWritable = nil
        isBodyPaused = false
    }

    /// Room for content that is announced, as far as an announcement is worth something.
    func reserveBody(_ announced: Int64) {
        body.reserveCapacity(Int(min(announced, 64 << 10)))
    }

    func appendBody(_ slice: UnsafeRawBufferPointer) {
        server.budget.take(Int64(slice.count))
        body.append(contentsOf: slice)
    }

    /// Hands the content over to whoever keeps it on his own account from now on.
    func takeBody() -> [UInt8] {
        server.budget.giveBack(Int64(body.count))
        var taken: [UInt8] = []
        swap(&taken, &body)
        return taken
    }

    /// Keeps a head for later: the bytes it points into go back to the reactor.
    func save(_ view: RequestView, _ bytes: UnsafeRawBufferPointer) {
        hasExtras = true
        let head = view.head
        let place = self.head ?? .allocate(capacity: 1)
        place.initialize(to: head)
        self.head = place
        headBytes.removeAll(keepingCapacity: true)
        headBytes.append(
            contentsOf: UnsafeRawBufferPointer(rebasing: bytes[..<Int(head.byteCount)]))
        lines.removeAll(keepingCapacity: true)
        view.fields.appendLines(to: &lines)
    }

    /// Calls with the saved request and the content collected for it.
    func withSavedRequest(_ body: (HTTPServerRequest) -> Void) {
        // Local copies: the handler may end the request while it looks at it.
        let (headBytes, lines) = (self.headBytes, self.lines)
        let content = self.body
        guard let head = self.head else { return }
        headBytes.withUnsafeBytes { bytes in
            lines.withUnsafeBufferPointer { lines in
                content.withUnsafeBytes { content in
                    // Never empty: a field is what announces content.
                    guard let lines = lines.baseAddress else { return }
                    body(
                        HTTPServerRequest(
                            view: RequestView(
                                head: UnsafePointer(head), bytes: bytes, lines: lines),
                            body: content, exchange: self))
                }
            }
        }
    }
}

@available(*, unavailable)
extension ServerExchange: Sendable {}
