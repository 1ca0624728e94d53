import Pacing
import Reactor
import TLS

/// Why a stream under TLS ended.
public enum TLSFailure<Transport: StreamFailure>: StreamFailure, Equatable
where Transport: Equatable {
    /// The connection underneath failed.
    case transport(Transport)
    /// TLS itself failed, or was cut short.
    case tls(TLSError)

    /// See `StreamFailure`.
    public var isLocal: Bool {
        switch self {
        case .transport(let error): error.isLocal
        case .tls(let error): error.isLocal
        }
    }

    /// The reason as a person would say it.
    public var description: String {
        switch self {
        case .transport(let error): error.description
        case .tls(let error): error.description
        }
    }
}

/// What the TLS connections of a loop share: their context, and the deadlines of their handshakes.
public final class TLSEndpoint {
    /// Keys and rules of all its connections.
    public let context: TLSContext
    /// The loop its connections live on.
    public let loop: EventLoop
    private let handshakes: DeadlineClass<any HandshakeDeadline>
    private var isClosed = false
    /// Lent to one connection at a time, for the length of a read, within which it may write.
    fileprivate var plaintext: [UInt8] = []
    fileprivate var readActions: [TLSMachine.Action] = []
    fileprivate var writeActions: [TLSMachine.Action] = []

    /// - Parameter context: used on this loop's thread only.
    public init(loop: EventLoop, context: TLSContext) {
        self.loop = loop
        self.context = context
        handshakes = DeadlineClass(
            loop: loop, timeout: context.configuration.handshakeTimeout
        ) { $0.handshakeDeadlinePassed() }
    }

    /// Gives the timer back as soon as no handshake needs it: those under way keep their deadline,
    /// and connections that are open go on. Idempotent.
    public func close() {
        isClosed = true
        ended(.none)
    }

    func began(_ handshake: some HandshakeDeadline) -> DeadlineToken { handshakes.start(handshake) }

    func ended(_ handshake: DeadlineToken) {
        handshakes.cancel(handshake)
        if isClosed, handshakes.isEmpty { handshakes.close() }
    }
}

protocol HandshakeDeadline: AnyObject { func handshakeDeadlinePassed() }

/// TLS over a stream: itself a stream, whose bytes are encrypted on the way.
///
///     state        event                        next         callback
///     handshaking  both sides are sure          open         onHandshake(session)
///     handshaking  failure, deadline            closing      onHandshake(failure)
///     open         the peer's close alert       open         onEnd(nil), once
///     open         a cut without it, a failure  open         onEnd(failure), once
///     any          close, abort                 closing      –
///     closing      the stream below is closed   closed       onClose
///
/// It carries the machine's actions out, and owns the stream below from its start on.
public final class TLSConnection<Lower: ByteStream>: ByteStream, HandshakeDeadline
where Lower.Failure: Equatable {
    /// TLS's, or that of the stream below.
    public typealias Failure = TLSFailure<Lower.Failure>
    private enum State { case handshaking, open, closing }

    /// The stream below; for its addresses and options, not for its bytes.
    public let lower: Lower
    private let endpoint: TLSEndpoint
    private var machine: TLSMachine
    private var state = State.handshaking
    private var deadline = DeadlineToken.none
    private var isReading = false
    private var hasEnded = false
    /// Came while reading was paused.
    private var waiting: [UInt8] = []
    private var waitingEnd: Result<Void, Failure>?

    /// What both sides agreed on; nil until they have.
    public private(set) var session: TLSSession?
    /// See `ByteStream`.
    public var context: AnyObject?
    /// See `ByteStream`.
    public var tag = 0
    /// Gets plaintext; see `ByteStream`.
    public var onRead: ((TLSConnection, UnsafeRawBufferPointer) -> Void)?
    /// Nil for the peer's close alert; see `ByteStream`.
    public var onEnd: ((TLSConnection, Failure?) -> Void)?
    /// See `ByteStream`.
    public var onWritable: ((TLSConnection) -> Void)?
    /// See `ByteStream`.
    public var onClose: ((TLSConnection) -> Void)?
    private var onHandshake: ((TLSConnection, Result<TLSSession, Failure>) -> Void)?

    /// That of the stream below.
    public var loop: EventLoop { lower.loop }
    /// False until both sides are sure of each other.
    public var isOpen: Bool { state == .open && lower.isOpen }
    /// That of the stream below.
    public var peerAddress: SocketAddress? { lower.peerAddress }
    /// That of the stream below.
    public var localAddress: SocketAddress? { lower.localAddress }
    /// It is.
    public var isSecure: Bool { true }
    /// Encrypted bytes that the kernel has not taken.
    public var unsentBytes: Int { lower.unsentBytes }
    /// Encrypted bytes that the peer has confirmed; see `ByteStream`.
    public var takenBytes: Int64 { lower.takenBytes }
    /// What waits, deciphered or not; see `ByteStream`.
    public var unreadBytes: Int { waiting.count + lower.unreadBytes }

    /// Begins the handshake on a stream that is open and has no callbacks of its own.
    ///
    /// - Parameters:
    ///   - peer: how sentences name the other end, and by what sessions are resumed.
    ///   - serverName: see `TLSMachine`.
    ///   - onHandshake: called once, never before this has returned, unless ``close()`` comes
    ///     first. After a failure the connection closes itself.
    /// - Throws: `TLSError` when the session cannot be made; the stream stays as it was.
    public init(
        over lower: Lower, endpoint: TLSEndpoint, peer: String, serverName: String? = nil,
        onHandshake: @escaping (TLSConnection, Result<TLSSession, Failure>) -> Void
    ) throws(TLSError) {
        machine = try TLSMachine(context: endpoint.context, peer: peer, serverName: serverName)
        self.lower = lower
        self.endpoint = endpoint
        self.onHandshake = onHandshake
        // The stream below holds this connection as long as it is open.
        lower.context = self
        lower.onRead = { lower, bytes in TLSConnection.of(lower)?.received(bytes) }
        lower.onEnd = { lower, error in TLSConnection.of(lower)?.lowerEnded(error) }
        lower.onWritable = { lower in
            guard let me = TLSConnection.of(lower) else { return }
            me.onWritable?(me)
        }
        lower.onClose = { [self] _ in lowerClosed() }
        lower.resumeReading()
        step { $0.start(now: $1, &$2) }
        // After the machine's own, which must not be the later one when this is called.
        if state == .handshaking { deadline = endpoint.began(self) }
    }

    private static func of(_ lower: Lower) -> TLSConnection? {
        // Nobody else sets it; a checked cast to a generic class costs more than all around it.
        lower.context.map { unsafeDowncast($0, to: TLSConnection.self) }
    }

    // MARK: - ByteStream

    /// See `ByteStream`; what came meanwhile is delivered in the next turn.
    public func resumeReading() {
        guard !isReading, state == .open else { return }
        isReading = true
        guard !waiting.isEmpty || waitingEnd != nil else { return lower.resumeReading() }
        loop.enqueue { [self] in deliverWaiting() }
    }

    /// See `ByteStream`.
    public func pauseReading() {
        guard isReading else { return }
        isReading = false
        lower.pauseReading()
    }

    /// See `ByteStream`; before the handshake has ended it answers `closed`.
    @discardableResult
    public func write(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        guard state == .open else { return .closed }
        var actions: [TLSMachine.Action] = []
        swap(&actions, &endpoint.writeActions)
        machine.write(bytes, &actions)
        let news = actions.last
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &endpoint.writeActions)
        if case .failed(let error)? = news {
            loop.enqueue { [self] in ended(.failure(.tls(error))) }
            return .closed
        }
        return machine.sendOutput { lower.write($0) }
    }

    /// Sends the close alert, and ends the direction of the stream below.
    public func endWriting() {
        guard state == .open else { return }
        step { machine, _, actions in machine.endWriting(&actions) }
        lower.endWriting()
    }

    /// Sends the close alert behind what is queued, then closes.
    public func closeAfterWriting() {
        guard state != .closing else { return }
        sayClosed()
        lower.closeAfterWriting()
    }

    /// Sends the close alert where the kernel takes it at once, and closes.
    public func close() {
        guard state != .closing else { return }
        sayClosed()
        lower.close()
    }

    /// Closes at once without a close alert.
    public func abort() {
        guard state != .closing else { return }
        leave()
        lower.abort()
    }

    // MARK: - The machine

    private func step(
        _ event: (inout TLSMachine, Instant, inout [TLSMachine.Action]) -> Void
    ) {
        var actions: [TLSMachine.Action] = []
        event(&machine, loop.now, &actions)
        carryOut(actions)
    }

    private func carryOut(_ actions: [TLSMachine.Action]) {
        if machine.unsentBytes > 0 { machine.sendOutput { _ = lower.write($0) } }
        for action in actions {
            switch action {
            case .transmit: break
            case .established(let session): established(session)
            case .peerClosed: ended(.success(()))
            case .failed(let error): ended(.failure(.tls(error)))
            }
        }
    }

    private func received(_ bytes: UnsafeRawBufferPointer) {
        var plaintext: [UInt8] = []
        var actions: [TLSMachine.Action] = []
        swap(&plaintext, &endpoint.plaintext)
        swap(&actions, &endpoint.readActions)
        machine.received(bytes, now: loop.now, into: &plaintext, &actions)
        if case .established = actions.first {
            carryOut([actions.removeFirst()])
        }
        if !plaintext.isEmpty, state == .open { deliver(plaintext) }
        carryOut(actions)
        plaintext.removeAll(keepingCapacity: true)
        actions.removeAll(keepingCapacity: true)
        swap(&plaintext, &endpoint.plaintext)
        swap(&actions, &endpoint.readActions)
    }

    private func lowerEnded(_ error: Lower.Failure?) {
        guard let error else { return step { machine, _, actions in machine.inputEnded(&actions) } }
        ended(.failure(.transport(error)))
    }

    func handshakeDeadlinePassed() {
        deadline = .none
        step { $0.tick(now: $1, &$2) }
    }

    // MARK: - To the user

    private func established(_ session: TLSSession) {
        guard state == .handshaking else { return }
        cancelDeadline()
        state = .open
        self.session = session
        lower.pauseReading()
        let completion = onHandshake
        onHandshake = nil
        completion?(self, .success(session))
    }

    private func deliver(_ plaintext: [UInt8]) {
        guard isReading, waiting.isEmpty else { return waiting.append(contentsOf: plaintext) }
        plaintext.withUnsafeBytes { onRead?(self, $0) }
    }

    /// What came while reading was paused, in the next turn after it goes on.
    private func deliverWaiting() {
        guard isReading, state == .open else { return }
        let bytes = waiting
        waiting = []
        if !bytes.isEmpty { bytes.withUnsafeBytes { onRead?(self, $0) } }
        guard isReading, state == .open else { return }
        if let end = waitingEnd {
            waitingEnd = nil
            tell(end)
        } else {
            lower.resumeReading()
        }
    }

    private func ended(_ end: Result<Void, Failure>) {
        switch state {
        case .closing: break
        case .handshaking:
            let completion = onHandshake
            leave()
            // The alert that says why goes out first, unless the peer takes nothing anyway.
            if lower.unsentBytes == 0 { lower.closeAfterWriting() } else { lower.abort() }
            if case .failure(let failure) = end { completion?(self, .failure(failure)) }
        case .open:
            guard !hasEnded else { return }
            hasEnded = true
            // Behind the bytes where they are read; a failure waits for no reader that rests.
            let isFailure = if case .failure = end { true } else { false }
            if isReading ? waiting.isEmpty : isFailure { tell(end) } else { waitingEnd = end }
        }
    }

    private func tell(_ end: Result<Void, Failure>) {
        guard let onEnd else { return close() }
        switch end {
        case .success: onEnd(self, nil)
        case .failure(let failure): onEnd(self, failure)
        }
    }

    // MARK: - The end

    private func sayClosed() {
        step { machine, _, actions in machine.close(&actions) }
        leave()
    }

    private func leave() {
        cancelDeadline()
        state = .closing
        onHandshake = nil
        onRead = nil
        onEnd = nil
        onWritable = nil
        context = nil
        waiting = []
    }

    private func cancelDeadline() {
        endpoint.ended(deadline)
        deadline = .none
    }

    private func lowerClosed() {
        leave()
        let completion = onClose
        onClose = nil
        completion?(self)
    }
}
