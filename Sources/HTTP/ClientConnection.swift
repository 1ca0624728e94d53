import HTTPCodec
import Pacing
import Reactor

/// One connection of a client: carries bytes between the reactor and the machine.
final class ClientConnection {
    let client: HTTPClient
    let origin: Origin
    let connection: TCPConnection
    private(set) var call: HTTPClientCall?
    /// The idle deadline.
    var token: DeadlineToken?
    private var machine = ClientConnectionMachine()
    private var kept = KeptBytes()
    /// Requests that it has carried, the one under way included.
    private var requestCount = 0
    private var isPaused = false
    private var isClosed = false

    init(client: HTTPClient, origin: Origin) {
        self.client = client
        self.origin = origin
        connection = TCPConnection(loop: client.loop)
    }

    /// Those of `addresses` that a connection from `source` can have: of its family. All, where
    /// none is, so that the failure tells why.
    static func reachable(
        _ addresses: [SocketAddress], from source: SocketAddress?
    ) -> ArraySlice<SocketAddress> {
        guard let source else { return addresses[...] }
        let same = addresses.filter { $0.ipAddress.isIPv6 == source.ipAddress.isIPv6 }
        return same.isEmpty ? addresses[...] : same[...]
    }

    /// Connects to the first of `addresses` that answers.
    ///
    /// - Parameter earlier: the failure to tell unless the last one is the other side's too.
    func connect(
        to addresses: ArraySlice<SocketAddress>, for call: HTTPClientCall,
        after earlier: UVError? = nil
    ) {
        guard let first = addresses.first else { return }
        self.call = call
        call.stage = .connected(self)
        connection.onClose = nil
        connection.connect(
            to: first, from: origin.source, deadline: client.configuration.connectTimeout
        ) { [self] _, result in
            switch result {
            case .success: opened()
            case .failure(let error):
                // This machine may lack a family of addresses, and still have the other.
                let worst = error.isLocal ? earlier ?? error : error
                if addresses.count == 1 { return lost(HTTPError.connect(worst)) }
                // The connection object is free again when its handle is closed.
                connection.onClose = { [self] _ in
                    if isClosed { return }
                    connect(to: addresses.dropFirst(), for: call, after: worst)
                }
            }
        }
    }

    private func opened() {
        connection.context = self
        connection.onRead = { ($0.context as? ClientConnection)?.received($1) }
        connection.onEnd = { ($0.context as? ClientConnection)?.ended($1) }
        connection.resumeReading()
        if let call { start(call) }
    }

    /// Sends the request of `call`. Only on a new or an idle connection.
    func start(_ call: HTTPClientCall) {
        self.call = call
        call.stage = .connected(self)
        requestCount += 1
        let isAccepted = machine.startRequest(
            method: call.method, keepsAlive: !call.closesConnection)
        guard isAccepted else {
            return lost(HTTPError(.connectionLost(nil), fault: .remote))
        }
        if call.body.isEmpty {
            connection.write(call.head)
        } else if call.body.count <= 32 * 1024 {
            connection.write(call.head + call.body)  // one system call, one segment if it fits
        } else {
            connection.write(call.head)
            connection.write(call.body)
        }
    }

    func setPaused(_ isPaused: Bool) {
        if self.isPaused == isPaused { return }
        self.isPaused = isPaused
        if isPaused {
            connection.pauseReading()
        } else {
            // Not inside the call that asks for it.
            client.loop.enqueue { [self] in
                if isClosed || self.isPaused { return }
                connection.resumeReading()
                received(UnsafeRawBufferPointer(start: nil, count: 0))
            }
        }
    }

    // MARK: Reading

    private func received(_ bytes: UnsafeRawBufferPointer) {
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
    private func process(_ bytes: UnsafeRawBufferPointer) -> Int {
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
                call?.receivedHead(context.response(in: rest), reused: requestCount > 1)
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
    private func complete() {
        guard let call else { return }
        self.call = nil
        if machine.isReusable, !isPaused { client.idle(self) } else { close() }
        call.complete()
    }

    private func ended(_ error: UVError?) {
        if isClosed { return }
        // What has been read but not looked at belongs to the message.
        if isPaused { isPaused = false }
        if !kept.isEmpty { received(UnsafeRawBufferPointer(start: nil, count: 0)) }
        if isClosed { return }
        let isStale = requestCount > 1 && !machine.hasSeenResponseBytes
        let last = machine.receiveEnd()
        if error == nil, last == .endOfResponse { return complete() }
        guard let call, isStale, call.method.isIdempotent, !call.hasRetried else {
            return lost(HTTPError(.connectionLost(error.map { StreamError($0) }), fault: .remote))
        }
        // The server closed a kept connection just as it was used again: nobody's fault, and
        // nothing of the request was answered (RFC 9112 §9.3.1).
        self.call = nil
        close()
        call.hasRetried = true
        client.dispatch(call)
    }

    // MARK: Ending

    /// Tells the call, if there is one, and closes.
    private func lost(_ error: HTTPError) {
        let call = self.call
        self.call = nil
        close()
        // Its stage still names this connection, which is closed already.
        call?.fail(error)
    }

    /// The call is withdrawn.
    func drop() {
        call = nil
        close()
    }

    func close() {
        if isClosed { return }
        isClosed = true
        client.forget(self)
        connection.close()
        client.connectionEnded()
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
