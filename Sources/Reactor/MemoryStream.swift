import CLibuv
import Pacing

/// One end of a connection that exists in memory only: for tests of protocols, with a path between
/// the two ends that is as bad as they ask for, and always in the same way.
///
///     let loop = try EventLoop.virtual()
///     var path = MemoryStream.Path()
///     path.latency = .milliseconds(20)...(.milliseconds(30))
///     path.pieces = 1...7
///     let (client, server) = MemoryStream.pair(on: loop, path: path, seed: 42)
///     server.isClogged = true              // what the server sends is not taken
///     loop.advance(by: .seconds(60))
///
/// It behaves as a ``TCPConnection`` on Linux does: a path that holds so many bytes and no more, a
/// FIN that comes behind what was sent, a reset for whoever sends to an end that was closed, and
/// for the peer of an end that was closed with bytes unread; what came before a reset is read
/// first. Made for ``EventLoop/virtual(startingAt:)``, where a moment's bytes come before its
/// timers; on a real loop it is as exact as a ``Timer``.
public final class MemoryStream: ByteStream {
    /// What lies between two ends, in one direction.
    public struct Path: Sendable {
        /// How long a piece is under way, drawn anew for each; none overtakes another.
        public var latency = Duration.zero...Duration.zero
        /// How many bytes it carries a second; nil for any number.
        public var bytesPerSecond: Int?
        /// Sizes of the pieces that are sent, and that a read gets, drawn anew for each; smaller
        /// where there is less. A slow path moves no more than a tenth of a second's worth.
        public var pieces = 65_536...65_536
        /// Bytes that it holds which the reader has not taken: as the buffers of two kernels do.
        public var capacity = 256 << 10

        /// Without delay, in large pieces.
        public init() {}
    }

    private enum State { case open, closing, closed }

    /// What is on its way to this end.
    private struct Arrival {
        let departure: Instant
        let moment: Instant
        let content: Content
    }
    private enum Content {
        case bytes(ArraySlice<UInt8>)
        /// Zero for a FIN.
        case end(Int32)
    }

    /// Stands for libuv's handle: a stream left open is a handle left open.
    private var timer: Timer?
    private var peer: MemoryStream?
    private var random: SeededRandom
    private var state = State.open

    // The direction from here to the peer.
    private var unsent: ArraySlice<UInt8> = []
    private var lineFree = Instant(nanoseconds: 0)
    private var owesWritable = false
    private var closesWhenWritten = false
    private var hasEndedWriting = false
    private var hasSentEnd = false

    // The direction from the peer to here.
    private var arrivals: [Arrival] = []
    private var received: ArraySlice<UInt8> = []
    private var receivedEnd: Int32?
    /// Bytes on their way here, or here and not read.
    private var held = 0
    private var isReading = false
    private var hasEnded = false
    /// A reset is on its way, so that nothing confirms what is sent any more; it has come.
    private var (expectsReset, isReset) = (false, false)
    /// How long news of this end takes back from a peer that is gone.
    private var returnLatency = Duration.zero

    /// See ``ByteStream``.
    public let loop: EventLoop
    /// The path from here to the peer; what changes holds for what is taken from then on.
    public var outgoing: Path
    /// Whether the path takes nothing that is written here. What it took before still arrives, as
    /// does a reset, or the end that ``close()`` sends.
    public var isClogged = false {
        didSet { if oldValue, !isClogged { sendMore() } }
    }
    /// Whatever the test wants it to be; nil at first.
    public var peerAddress: SocketAddress?
    /// Whatever the test wants it to be; nil at first.
    public var localAddress: SocketAddress?
    /// See ``ByteStream``.
    public var context: AnyObject?
    /// See ``ByteStream``.
    public var tag = 0
    /// See ``ByteStream``.
    public var onRead: ((MemoryStream, UnsafeRawBufferPointer) -> Void)?
    /// See ``ByteStream``; the failure is the reset of a connection.
    public var onEnd: ((MemoryStream, UVError?) -> Void)?
    /// See ``ByteStream``.
    public var onWritable: ((MemoryStream) -> Void)?
    /// See ``ByteStream``.
    public var onClose: ((MemoryStream) -> Void)?

    /// See ``ByteStream``.
    public var isOpen: Bool { state == .open }
    /// Bytes that the path has not taken.
    public var unsentBytes: Int { unsent.count }
    /// Bytes that have reached the other end.
    public private(set) var takenBytes: Int64 = 0
    /// Bytes that have come and were not read yet.
    public var unreadBytes: Int { received.count }

    /// Two ends of one connection, established, with reading paused. Each stays open until it is
    /// closed, even if nobody keeps it.
    ///
    /// - Parameters:
    ///   - path: in both directions; ``outgoing`` changes one of them.
    ///   - seed: everything drawn at random follows from it.
    public static func pair(
        on loop: EventLoop, path: Path = Path(), seed: UInt64 = 0
    ) -> (MemoryStream, MemoryStream) {
        var random = SeededRandom(seed: seed)
        let first = MemoryStream(loop, path, SeededRandom(seed: random.next()))
        let second = MemoryStream(loop, path, SeededRandom(seed: random.next()))
        (first.peer, second.peer) = (second, first)
        return (first, second)
    }

    private init(_ loop: EventLoop, _ path: Path, _ random: SeededRandom) {
        self.loop = loop
        outgoing = path
        self.random = random
        // Held by its timer until it is closed.
        timer = Timer(loop: loop, isNews: true) { [self] in wake() }
    }

    // MARK: - Writing

    /// See ``ByteStream``.
    @discardableResult
    public func write(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        guard state == .open, !closesWhenWritten, !hasEndedWriting else { return .closed }
        if isReset {
            reportFailure()
            return .closed
        }
        unsent += bytes
        take()
        guard unsent.count > TCPConnection.highWaterBytes else { return .flowing }
        owesWritable = true
        return .backpressured
    }

    /// See ``ByteStream``.
    public func endWriting() {
        guard state == .open, !hasEndedWriting else { return }
        hasEndedWriting = true
        take()
    }

    /// See ``ByteStream``.
    public func closeAfterWriting() {
        guard state == .open else { return }
        if unsent.isEmpty { close() } else { closesWhenWritten = true }
    }

    /// Gives the path what it takes.
    private func take() {
        guard !isClogged else { return }
        while !unsent.isEmpty {
            let held = peer?.held ?? (expectsReset ? outgoing.capacity : 0)
            let piece = unsent.prefix(
                min(drawPiece(of: outgoing), max(outgoing.capacity - held, 0)))
            if piece.isEmpty { return }
            unsent.removeFirst(piece.count)
            send(.bytes(piece))
        }
        unsent = []
        if hasEndedWriting { sendEnd() }
    }

    private func drawPiece(of path: Path) -> Int {
        let size = max(Int.random(in: path.pieces, using: &random), 1)
        return path.bytesPerSecond.map { min(size, max($0 / 10, 1)) } ?? size
    }

    private func sendEnd() {
        if hasSentEnd { return }
        hasSentEnd = true
        send(.end(0))
    }

    private func send(_ content: Content) {
        lineFree = max(loop.now, lineFree)
        var count = 0
        if case .bytes(let bytes) = content {
            count = bytes.count
            if let rate = outgoing.bytesPerSecond {
                lineFree += .seconds(1) * count / max(rate, 1)
            }
        }
        let latency = random.duration(in: outgoing.latency)
        guard let peer else {
            // Nobody is there: for bytes, a reset comes back.
            if count > 0 {
                expect(.end(UV_ECONNRESET.rawValue), at: lineFree + latency + returnLatency)
            }
            return
        }
        peer.held += count
        peer.expect(content, at: lineFree + latency, leaving: lineFree)
    }

    /// There is room on the path again.
    private func sendMore() {
        guard state == .open, !unsent.isEmpty || hasEndedWriting else { return }
        let before = unsent.count
        take()
        if unsent.count < before { timer?.schedule(at: loop.now) }
    }

    /// What was written has gone; told by the timer.
    private func tellProgress() {
        if closesWhenWritten, unsent.isEmpty { return close() }
        guard owesWritable, unsent.count <= TCPConnection.highWaterBytes / 2 else { return }
        owesWritable = false
        onWritable?(self)
    }

    /// In the next turn: the caller may still be inside its write.
    private func reportFailure() {
        unsent = []
        owesWritable = false
        loop.enqueue { [self] in
            guard state == .open else { return }
            if closesWhenWritten || hasEnded {
                close()  // nobody is left to be told otherwise
            } else if !isReading {
                ended(UV_ECONNRESET.rawValue)
            }  // else the reader meets it behind what came before
        }
    }

    // MARK: - Reading

    /// See ``ByteStream``.
    public func resumeReading() {
        guard state == .open, !isReading, !hasEnded else { return }
        isReading = true
        if !received.isEmpty || receivedEnd != nil { timer?.schedule(at: loop.now) }
    }

    /// See ``ByteStream``.
    public func pauseReading() {
        isReading = false
    }

    private func expect(_ content: Content, at moment: Instant, leaving: Instant? = nil) {
        guard state == .open else { return }
        if case .end(..<0) = content { expectsReset = true }
        let moment = max(moment, arrivals.last?.moment ?? moment)
        arrivals.append(
            Arrival(departure: leaving ?? moment, moment: moment, content: content))
        awaitNext()
    }

    private func awaitNext() {
        guard let next = arrivals.first?.moment, let timer else { return }
        if timer.deadline.map({ next < $0 }) ?? true { timer.schedule(at: next) }
    }

    private func wake() {
        let now = loop.now
        let count = arrivals.firstIndex { $0.moment > now } ?? arrivals.count
        let arrived = arrivals[..<count]
        arrivals.removeFirst(count)
        for arrival in arrived {
            switch arrival.content {
            case .bytes(let bytes):
                received += bytes
                peer?.takenBytes += Int64(bytes.count)
            case .end(0): receivedEnd = 0
            case .end(let code): wasReset(code)
            }
        }
        tellProgress()
        deliver()
        if state == .open { awaitNext() }
    }

    private func wasReset(_ code: Int32) {
        isReset = true
        // One that comes behind the peer's FIN takes nothing away: the bytes were complete.
        receivedEnd = receivedEnd ?? code
        if !unsent.isEmpty { reportFailure() }
    }

    private func deliver() {
        while isReading, state == .open, !received.isEmpty {
            // After the peer has gone, this end's own path stands for it.
            let size = Int.random(in: (peer?.outgoing ?? outgoing).pieces, using: &random)
            let count = min(received.count, max(size, 1))
            let piece = received.prefix(count)
            received.removeFirst(count)
            if received.isEmpty { received = [] }
            held -= count
            peer?.sendMore()
            piece.withUnsafeBytes { onRead?(self, $0) }
        }
        if isReading, state == .open, received.isEmpty, let receivedEnd { ended(receivedEnd) }
    }

    private func ended(_ code: Int32) {
        guard !hasEnded else { return }
        hasEnded = true
        isReading = false
        let error =
            code == 0 ? nil : UVError(operation: "read from", code: code, address: peerAddress)
        if let onEnd { onEnd(self, error) } else { close() }
    }

    // MARK: - Closing

    /// See ``ByteStream``. With bytes that came and were not read the peer gets a reset, as from
    /// Linux; else the end, behind what the path has taken.
    public func close() { leave(reset: !received.isEmpty) }

    /// See ``ByteStream``; what has not left this end yet is lost.
    public func abort() { leave(reset: true) }

    private func leave(reset: Bool) {
        guard state == .open else { return }
        state = .closing
        isReading = false
        (onRead, onEnd, onWritable, context) = (nil, nil, nil, nil)
        (unsent, received) = ([], [])
        if let peer, !isReset { part(from: peer, reset: reset) }
        peer = nil
        arrivals = []
        timer?.close()
        timer = nil
        loop.enqueue { [self] in
            state = .closed
            let onClose = self.onClose
            self.onClose = nil
            onClose?(self)
        }
    }

    private func part(from peer: MemoryStream, reset: Bool) {
        if reset {
            let now = loop.now
            peer.arrivals.removeAll { $0.departure > now }
            peer.expect(
                .end(UV_ECONNRESET.rawValue), at: now + random.duration(in: outgoing.latency))
        } else {
            sendEnd()
            // What is on its way here meets nobody.
            for case (let moment, .bytes) in arrivals.lazy.map({ ($0.moment, $0.content) }) {
                peer.expect(
                    .end(UV_ECONNRESET.rawValue), at: moment + random.duration(in: outgoing.latency)
                )
                break
            }
        }
        peer.returnLatency = random.duration(in: outgoing.latency)
        peer.peer = nil
        // Nothing holds it back any more.
        peer.sendMore()
    }
}

@available(*, unavailable)
extension MemoryStream: Sendable {}
