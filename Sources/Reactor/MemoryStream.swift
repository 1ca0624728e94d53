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
///     …
///     loop.advance(by: .seconds(60))
///
/// It keeps the contract of ``ByteStream`` as ``TCPConnection`` does, down to when a writer hears
/// of a reader that is slow or gone; nothing is lost, and order is kept. On a real loop it works in
/// real time.
public final class MemoryStream: ByteStream {
    /// Only what the other end did.
    public typealias Failure = UVError

    /// What lies between two ends, in one direction.
    public struct Path: Sendable {
        /// How long a piece is under way, drawn anew for each; none overtakes another.
        public var latency = Duration.zero...Duration.zero
        /// How many bytes it carries a second; nil for any number.
        public var bytesPerSecond: Int?
        /// Sizes of the pieces in which bytes arrive, drawn anew for each.
        public var pieces = 65_536...65_536
        /// Bytes that it holds which the reader has not taken: as the buffers of two kernels do.
        public var capacity = 256 << 10

        /// Without delay, in large pieces.
        public init() {}
    }

    /// Two ends of one connection, both open.
    ///
    /// - Parameters:
    ///   - path: in both directions; ``outgoing`` changes one of them.
    ///   - seed: everything drawn at random follows from it.
    public static func pair(
        on loop: EventLoop, path: Path = Path(), seed: UInt64 = 0
    ) -> (MemoryStream, MemoryStream) {
        var random = SeededRandom(seed: seed)
        let forth = MemoryChannel(loop: loop, path: path, seed: random.next())
        let back = MemoryChannel(loop: loop, path: path, seed: random.next())
        let ends = (
            MemoryStream(loop: loop, sends: forth, receives: back),
            MemoryStream(loop: loop, sends: back, receives: forth)
        )
        // The connection holds both until each is closed, as a loop holds its handles.
        (forth.writer, forth.reader) = (ends.0, ends.1)
        (back.writer, back.reader) = (ends.1, ends.0)
        return ends
    }

    private enum State { case open, closing, closed }

    /// See ``ByteStream``.
    public let loop: EventLoop
    private let sends: MemoryChannel
    private let receives: MemoryChannel
    private var state = State.open
    private var hasEnded = false
    private var hasEndedWriting = false
    private var closesWhenWritten = false
    private var owesWritable = false
    private var isDelivering = false
    fileprivate private(set) var isReading = false

    /// See ``ByteStream``.
    public var context: AnyObject?
    /// See ``ByteStream``.
    public var tag = 0
    /// See ``ByteStream``.
    public var onRead: ((MemoryStream, UnsafeRawBufferPointer) -> Void)?
    /// See ``ByteStream``.
    public var onEnd: ((MemoryStream, UVError?) -> Void)?
    /// See ``ByteStream``.
    public var onWritable: ((MemoryStream) -> Void)?
    /// See ``ByteStream``.
    public var onClose: ((MemoryStream) -> Void)?

    private init(loop: EventLoop, sends: MemoryChannel, receives: MemoryChannel) {
        self.loop = loop
        self.sends = sends
        self.receives = receives
    }

    /// See ``ByteStream``.
    public var isOpen: Bool { state == .open }
    /// Ends in memory have no addresses.
    public var peerAddress: SocketAddress? { nil }
    /// Ends in memory have no addresses.
    public var localAddress: SocketAddress? { nil }
    /// See ``ByteStream``.
    public var unsentBytes: Int { state == .open ? sends.unsentCount : 0 }
    /// See ``ByteStream``.
    public var takenBytes: Int64 { sends.takenCount }
    /// See ``ByteStream``.
    public var unreadBytes: Int { state == .open ? receives.arrivedCount : 0 }
    /// What lies between this end and the other, for what is sent from here on.
    public var outgoing: Path {
        get { sends.path }
        set { sends.path = newValue }
    }
    /// Whether nothing leaves this end, as where the path is dead but nobody has said so.
    public var isClogged: Bool {
        get { sends.isClogged }
        set {
            sends.isClogged = newValue
            sends.pump()
        }
    }

    // MARK: - Writing

    /// See ``ByteStream``.
    @discardableResult
    public func write(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        guard state == .open, !hasEndedWriting, !closesWhenWritten else { return .closed }
        guard !receives.isReset else {
            loop.enqueue { [self] in ended(MemoryStream.reset) }
            return .closed
        }
        sends.give(bytes)
        guard unsentBytes > TCPConnection.highWaterBytes else { return .flowing }
        owesWritable = true
        return .backpressured
    }

    /// See ``ByteStream``.
    public func endWriting() {
        guard state == .open, !hasEndedWriting else { return }
        hasEndedWriting = true
        sends.endsWhenSent = true
        sends.pump()
    }

    /// See ``ByteStream``.
    public func closeAfterWriting() {
        guard state == .open else { return }
        if unsentBytes == 0 { close() } else { closesWhenWritten = true }
    }

    /// Some of what was queued has left.
    fileprivate func unsentShrank() {
        guard state == .open else { return }
        if closesWhenWritten, unsentBytes == 0 {
            close()
        } else if owesWritable, unsentBytes <= TCPConnection.highWaterBytes / 2 {
            owesWritable = false
            onWritable?(self)
        }
    }

    // MARK: - Reading

    /// See ``ByteStream``.
    public func resumeReading() {
        guard state == .open, !hasEnded, !isReading else { return }
        isReading = true
        loop.enqueue { [self] in deliver() }
    }

    /// See ``ByteStream``.
    public func pauseReading() { isReading = false }

    /// Hands out what has arrived, as long as it is wanted.
    fileprivate func deliver() {
        if isDelivering { return }
        isDelivering = true
        defer { isDelivering = false }
        while isReading, state == .open {
            switch receives.take() {
            case .bytes(let bytes):
                bytes.withUnsafeBytes { onRead?(self, $0) }
                receives.roomWasMade()
            case .end: ended(nil)
            case .reset: ended(MemoryStream.reset)
            case nil: return
            }
        }
    }

    private static let reset = UVError(operation: "read from", code: UV_ECONNRESET.rawValue)

    private func ended(_ failure: UVError?) {
        guard state == .open, !hasEnded else { return }
        hasEnded = true
        isReading = false
        if let onEnd { onEnd(self, failure) } else { close() }
    }

    // MARK: - Ending

    /// See ``ByteStream``.
    public func close() {
        // What was not read is lost, and the other end is told so.
        finish(by: receives.arrivedCount > 0 ? .reset : .end)
    }

    /// See ``ByteStream``.
    public func abort() { finish(by: .reset) }

    private func finish(by end: MemoryChannel.Item) {
        guard state == .open else { return }
        state = .closing
        isReading = false
        (onRead, onEnd, onWritable, context) = (nil, nil, nil, nil)
        sends.dropUnsent()
        sends.send(end)
        loop.enqueue { [self] in
            state = .closed
            sends.writer = nil
            receives.reader = nil
            sends.closeIfDone()
            receives.closeIfDone()
            let onClose = self.onClose
            self.onClose = nil
            onClose?(self)
        }
    }

    /// What was sent came to an end that is closed: the answer is a reset.
    fileprivate func isRefused() { receives.send(.reset) }
}

@available(*, unavailable)
extension MemoryStream: Sendable {}

/// One direction of a connection in memory.
private final class MemoryChannel {
    enum Item {
        case bytes([UInt8])
        case end
        case reset
    }

    private struct Flight {
        let arrival: Instant
        let item: Item
    }

    var path: MemoryStream.Path
    var isClogged = false
    /// Given by the writer; from `sentCount` on not on its way.
    private var given: [UInt8] = []
    private var sentCount = 0
    /// Bytes that have left, since the beginning.
    private(set) var takenCount: Int64 = 0
    var endsWhenSent = false
    /// Nil when that end is closed.
    var writer: MemoryStream?
    var reader: MemoryStream?
    /// The writer has broken the connection off, and the reader's side knows.
    private(set) var isReset = false

    private let loop: EventLoop
    private var random: SeededRandom
    private var timer: Timer?
    private var flights = Line<Flight>()
    /// Arrived, and not taken.
    private var arrived = Line<Item>()
    /// Bytes on their way or arrived.
    private var held = 0
    private var lastArrival: Instant
    private var isWaking = false
    private var hasSentEnd = false
    private var hasSentReset = false

    init(loop: EventLoop, path: MemoryStream.Path, seed: UInt64) {
        self.loop = loop
        self.path = path
        random = SeededRandom(seed: seed)
        lastArrival = loop.now
        timer = Timer(loop: loop) { [unowned self] in arrive() }
    }

    var unsentCount: Int { given.count - sentCount }

    func give(_ bytes: UnsafeRawBufferPointer) {
        given.append(contentsOf: bytes)
        pump()
    }

    func dropUnsent() { (given, sentCount) = ([], 0) }

    var arrivedCount: Int {
        arrived.rest.reduce(0) { if case .bytes(let bytes) = $1 { $0 + bytes.count } else { $0 } }
    }

    /// Sends what the path has room for.
    func pump() {
        let before = unsentCount
        while !isClogged, unsentCount > 0, held < path.capacity {
            let size = Int.random(in: path.pieces, using: &random)
            let count = max(1, min(size, unsentCount, path.capacity - held))
            send(.bytes(Array(given[sentCount..<sentCount + count])))
            sentCount += count
            takenCount += Int64(count)
        }
        if unsentCount == 0 { dropUnsent() }
        if !isClogged, unsentCount == 0, endsWhenSent, !hasSentEnd { send(.end) }
        if unsentCount < before, let writer { loop.enqueue { writer.unsentShrank() } }
    }

    func send(_ item: Item) {
        if hasSentReset { return }
        if hasSentEnd, case .end = item { return }
        var arrival = max(loop.now + random.duration(in: path.latency), lastArrival)
        switch item {
        case .bytes(let bytes):
            held += bytes.count
            if let rate = path.bytesPerSecond {
                arrival = arrival + .nanoseconds(Int64(bytes.count) * 1_000_000_000 / Int64(rate))
            }
        case .end: hasSentEnd = true
        case .reset: hasSentReset = true
        }
        lastArrival = arrival
        flights.append(Flight(arrival: arrival, item: item))
        wake()
    }

    /// Arrives at once, though never inside the call that sends, or when its time has come.
    private func wake() {
        guard let first = flights.first, let timer else { return }
        if first.arrival > loop.now {
            timer.schedule(at: first.arrival)
        } else if !isWaking {
            isWaking = true
            loop.enqueue { [self] in
                isWaking = false
                arrive()
            }
        }
    }

    private func arrive() {
        while let first = flights.first, first.arrival <= loop.now {
            flights.popFirst()
            switch first.item {
            case .bytes(let bytes) where reader?.isOpen != true:
                held -= bytes.count
                writer?.isRefused()
            case .bytes, .end: arrived.append(first.item)
            case .reset:
                isReset = true
                arrived = Line()
                arrived.append(.reset)
            }
        }
        wake()
        reader?.deliver()
    }

    func take() -> Item? {
        let item = arrived.popFirst()
        if case .bytes(let bytes)? = item { held -= bytes.count }
        return item
    }

    /// The reader has taken something.
    func roomWasMade() { pump() }

    /// Gives the timer back when no end is left.
    func closeIfDone() {
        guard writer == nil, reader == nil else { return }
        timer?.close()
        timer = nil
        (flights, arrived) = (Line(), Line())
    }
}

/// First in, first out; without moving what is left for each that goes.
private struct Line<Element> {
    private var elements: [Element] = []
    private var head = 0

    var first: Element? { head < elements.count ? elements[head] : nil }
    var rest: ArraySlice<Element> { elements[head...] }

    mutating func append(_ element: Element) { elements.append(element) }

    @discardableResult
    mutating func popFirst() -> Element? {
        guard let first else { return nil }
        head += 1
        if head == elements.count || head > 1024 {
            elements.removeFirst(head)
            head = 0
        }
        return first
    }
}
