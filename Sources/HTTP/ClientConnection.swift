import HTTPCodec
import Pacing
import Reactor

/// One connection of a client: carries bytes between a stream and the machine. What kind of stream
/// it is, only ``StreamClientConnection`` knows.
class ClientConnection {
    final let client: HTTPClient
    final let origin: Origin
    private(set) final var call: HTTPClientCall?
    /// By what the pool knows it while it is idle.
    final var token: DeadlineToken?
    private final var machine = ClientConnectionMachine()
    private final var kept = KeptBytes()
    private final var isPaused = false
    private final var isClosed = false

    init(client: HTTPClient, origin: Origin) {
        self.client = client
        self.origin = origin
    }

    // MARK: The stream

    func send(_ bytes: [UInt8]) {}
    func readStream(_ isOn: Bool) {}
    func closeStream() {}

    /// Sends the request of `call`. Only on a new or an idle connection.
    final func start(_ call: HTTPClientCall) {
        self.call = call
        call.stage = .connected(self)
        let isAccepted = machine.startRequest(
            method: call.method, keepsAlive: !call.closesConnection)
        guard isAccepted else {
            return lost(HTTPError(.connectionLost(nil), fault: .remote))
        }
        if call.body.isEmpty {
            send(call.head)
        } else if call.body.count <= 32 * 1024 {
            send(call.head + call.body)  // one system call, one segment if it fits
        } else {
            send(call.head)
            send(call.body)
        }
    }

    final func setPaused(_ isPaused: Bool) {
        if self.isPaused == isPaused { return }
        self.isPaused = isPaused
        if isPaused {
            readStream(false)
        } else {
            // Not inside the call that asks for it.
            client.loop.enqueue { [self] in
                if isClosed || self.isPaused { return }
                readStream(true)
                received(UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
    }

    // MARK: Reading

    final func received(_ bytes: UnsafeRawBufferPointer) {
        if isClosed { return }
        guard !kept.isEmpty else {
            let consumed = process(bytes)
            if consumed < bytes.count, !isClosed {
                kept.append(UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
            }
            return
        }
        kept.append(bytes)
        // Taken out for the length of the call: a callback may do anything.
        var taken = KeptBytes()
        swap(&taken, &kept)
        taken.consume(taken.withUnsafeBytes { process($0) })
        if !isClosed { kept = taken }
    }

    /// Runs the machine over `bytes`; returns how many it used up.
    private final func process(_ bytes: UnsafeRawBufferPointer) -> Int {
        let context = client.context
        var consumed = 0
        while !isClosed, !isPaused {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = machine.receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .needMore: return consumed
            case .informational: continue
            case .response(let head):
                call?.receivedHead(context.response(in: rest), reused: machine.requestCount > 1)
                if head.framing == .none { complete() }
            case .body(let range):
                let slice = UnsafeRawBufferPointer(rebasing: rest[range])
                if let call, !call.receivedBody(slice) {
                    lost(.malformed(.bodyTooLarge, offset: 0))
                }
            case .trailers(let range, let count):
                let section = UnsafeRawBufferPointer(rebasing: rest[range])
                call?.receivedTrailers(context.fields(in: section, count: count))
            case .endOfResponse: complete()
            case .failed(let error): lost(HTTPError(.malformed(error), fault: .remote))
            }
        }
        return consumed
    }

    /// The response is there: the connection goes back to the pool before its user is told.
    private final func complete() {
        guard let call else { return }
        self.call = nil
        if machine.isReusable, !isPaused { client.idle(self) } else { close() }
        call.complete()
    }

    final func ended(_ error: (any StreamFailure)?) {
        if isClosed { return }
        // What has been read but not looked at belongs to the message.
        if isPaused { isPaused = false }
        if !kept.isEmpty { received(UnsafeRawBufferPointer(start: nil, count: 0)) }
        if isClosed { return }
        let mayRepeat = call.map { $0.method.isIdempotent && !$0.hasRetried } ?? false
        switch machine.connectionEnded(isFailure: error != nil, mayRepeat: mayRepeat) {
        case .complete: complete()
        case .idle: close()
        case .lost:
            lost(HTTPError(.connectionLost(error.map { StreamError($0) }), fault: .remote))
        case .stale:
            let call = self.call
            self.call = nil
            close()
            call?.hasRetried = true
            if let call { client.dispatch(call) }
        }
    }

    // MARK: Ending

    /// Tells the call, if there is one, and closes.
    private final func lost(_ error: HTTPError) {
        let call = self.call
        self.call = nil
        close()
        // Its stage still names this connection, which is closed already.
        call?.fail(error)
    }

    /// The call is withdrawn.
    final func drop() {
        call = nil
        close()
    }

    final func close() {
        if isClosed { return }
        isClosed = true
        client.forget(self)
        closeStream()
        client.connectionEnded(origin)
    }
}

extension HTTPError {
    fileprivate static func malformed(
        _ reason: HTTPCodecError.Reason, offset: Int
    ) -> HTTPError {
        HTTPError(.malformed(HTTPCodecError(response: reason, offset: offset)), fault: .remote)
    }
}

@available(*, unavailable)
extension ClientConnection: Sendable {}
