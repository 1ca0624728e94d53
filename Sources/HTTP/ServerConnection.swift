import HTTPCodec
import Pacing
import Reactor

/// One connection of a server: carries bytes between a stream and the machine.
///
/// Idle, it is these few words and nothing else; everything that a request needs is in the
/// exchange, which goes back to the server between requests. What kind of stream it is, only
/// ``StreamServerConnection`` knows.
class ServerConnection {
    final let server: HTTPServer
    final var exchange: ServerExchange?
    /// Decides; changed by ``decide(_:)`` only.
    final private(set) var machine: ServerConnectionMachine
    /// Of the deadline that runs.
    final var token = DeadlineToken.none

    init(server: HTTPServer) {
        self.server = server
        machine = ServerConnectionMachine(
            maximumAge: server.configuration.maximumConnectionAge, now: server.loop.now)
    }

    /// Lets the machine decide, and carries out what it says.
    @inline(__always)
    final func decide(
        _ lost: HTTPError? = nil,
        _ decision: (inout ServerConnectionMachine) -> ServerConnectionMachine.Orders
    ) {
        // A local copy: a property changed in place is checked at run time.
        var machine = self.machine
        let orders = decision(&machine)
        self.machine = machine
        carryOut(orders, lost)
    }

    /// Tells the machine what needs nothing to be done.
    @inline(__always)
    final func note<R>(_ body: (inout ServerConnectionMachine) -> R) -> R {
        var machine = self.machine
        defer { self.machine = machine }
        return body(&machine)
    }

    // MARK: The stream

    /// Where it stands among the server's connections.
    var index: Int {
        get { fatalError("a connection without a stream") }
        set { fatalError("a connection without a stream") }
    }
    var peerAddress: SocketAddress? { nil }
    var localAddress: SocketAddress? { nil }
    var isSecure: Bool { false }
    var unreadBytes: Int { 0 }
    var takenBytes: Int64 { 0 }
    func send(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome { .closed }
    func readStream(_ isOn: Bool) {}
    func endStream() {}
    /// Whether something is queued yet, so that it is not closed.
    func closeStreamAfterWriting() -> Bool { false }
    func closeStream() {}
    func abortStream() {}

    // MARK: Reading

    final func received(_ bytes: UnsafeRawBufferPointer) {
        guard machine.isOpen else { return }
        let exchange = self.exchange ?? takeExchange()
        if exchange.kept.pointee.isEmpty {
            let consumed = process(bytes, exchange)
            guard self.exchange === exchange else { return flush() }
            if consumed < bytes.count {
                exchange.kept.pointee.append(
                    UnsafeRawBufferPointer(rebasing: bytes[consumed...]))
            }
            settle(exchange)
        } else {
            exchange.kept.pointee.append(bytes)
            processKept(exchange)
            settle()
        }
    }

    final func processKept(_ exchange: ServerExchange) {
        // Taken out for the length of the call: the handler may do anything, even close.
        var kept = KeptBytes()
        swap(&kept, &exchange.kept.pointee)
        let consumed = kept.withUnsafeBytes { process($0, exchange) }
        guard self.exchange === exchange else { return }
        kept.consume(consumed)
        exchange.kept.pointee = kept
    }

    private final func takeExchange() -> ServerExchange {
        let exchange = server.takeExchange()
        exchange.connection = self
        exchange.messages.pointee = ServerMessageMachine(hasServed: machine.hasServed)
        self.exchange = exchange
        return exchange
    }

    /// Runs the machine over `bytes`; returns how many it used up.
    private final func process(_ bytes: UnsafeRawBufferPointer, _ exchange: ServerExchange) -> Int {
        let context = server.context
        var consumed = 0
        exchange.isProcessing = true
        defer { exchange.isProcessing = false }
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = exchange.messages.pointee.receive(rest, context)
            consumed += step.consumed
            switch step.event {
            case .needMore, .awaitingResponse: return consumed
            case .request: requestBegan(rest, exchange)
            case .body(let range):
                bodyReceived(UnsafeRawBufferPointer(rebasing: rest[range]), exchange)
            case .endOfRequest: requestEnded(exchange)
            case .trailers, .drained: break  // nobody has asked for them
            case .failed(let error):
                refuse(HTTPError(.malformed(error), fault: .remote), exchange)
                return bytes.count
            case .closed:
                finish(.closeLingering)
                return bytes.count
            }
            // Before more is answered, whether the peer takes what there is.
            if server.output.count >= Self.outputBytes { flush() }
            if self.exchange !== exchange || exchange.isBackpressured || exchange.isBodyPaused
                || (consumed == bytes.count && exchange.messages.pointee.isIdle)
            {
                return consumed
            }
        }
    }

    private final func requestBegan(_ bytes: UnsafeRawBufferPointer, _ exchange: ServerExchange) {
        server.requests &+= 1
        if note({ $0.requestBegan(limit: server.requestLimit) }) {
            exchange.messages.pointee.stopAfterCurrent()
        }
        let view = server.context.request(in: bytes)
        let responder = HTTPResponder(exchange: exchange, generation: exchange.generation)
        if let headHandler = server.headHandler {
            let handling = headHandler(request(view, exchange), responder)
            guard exchange.generation == responder.generation else { return }
            take(handling, view, bytes, exchange)
        } else if view.head.framing == .none {
            server.handler(request(view, exchange), responder)
        } else {
            let limit = server.context.limits.maximumBodyBytes
            collect(limit, server.handler, view, bytes, exchange)
        }
    }

    private final func request(_ view: RequestView, _ exchange: ServerExchange) -> HTTPServerRequest
    {
        HTTPServerRequest(
            view: view, body: UnsafeRawBufferPointer(start: nil, count: 0), exchange: exchange)
    }

    private final func take(
        _ handling: HTTPBodyHandling, _ view: RequestView, _ bytes: UnsafeRawBufferPointer,
        _ exchange: ServerExchange
    ) {
        switch handling {
        case .ignore: break
        case .collect(let limit, let handler):
            if view.head.framing == .none {
                let responder = HTTPResponder(
                    exchange: exchange, generation: exchange.generation)
                handler(request(view, exchange), responder)
            } else {
                collect(limit, handler, view, bytes, exchange)
            }
        case .stream(_, let onEnd):
            if view.head.framing == .none {
                onEnd(nil)
            } else {
                exchange.hasExtras = true
                exchange.handling = handling
                sendContinue(exchange)
            }
        }
    }

    private final func collect(
        _ limit: Int64, _ handler: @escaping HTTPServer.Handler, _ view: RequestView,
        _ bytes: UnsafeRawBufferPointer, _ exchange: ServerExchange
    ) {
        let limit = min(limit, server.context.limits.maximumBodyBytes)
        if case .contentLength(let length) = view.head.framing {
            if length > limit { return refuseContent(.never, exchange) }
            let verdict = server.budget.verdict(count: length)
            if verdict != .fits { return refuseContent(verdict, exchange) }
            exchange.reserveBody(length)
        }
        exchange.handling = .collect(limit: limit, then: handler)
        exchange.save(view, bytes)
        sendContinue(exchange)
    }

    private final func sendContinue(_ exchange: ServerExchange) {
        guard exchange.messages.pointee.takeContinue() else { return }
        server.claimOutput(for: self)
        server.output.continueResponse()
    }

    /// - Parameter verdict: whether it is too much at any time, or just now.
    private final func refuseContent(_ verdict: BodyBudget.Verdict, _ exchange: ServerExchange) {
        exchange.handling = .ignore
        _ = exchange.takeBody()
        let responder = HTTPResponder(exchange: exchange, generation: exchange.generation)
        let peer = responder.peerAddress
        server.configuration.onContentRefused?(verdict == .later ? 503 : 413, peer)
        if verdict == .later {
            responder.respondUnavailable(retryAfter: 1, "no memory for more content now\n")
        } else {
            responder.respond(status: 413, literal: "content too large\n")
        }
    }

    // Never inlined: `process` would begin their checked accesses for requests without content too.
    @inline(never)
    private final func bodyReceived(_ slice: UnsafeRawBufferPointer, _ exchange: ServerExchange) {
        switch exchange.handling {
        case .ignore: break
        case .stream(let onSlice, _): onSlice(slice)
        case .collect(let limit, _):
            let held = Int64(exchange.body.count)
            let count = Int64(slice.count)
            let verdict =
                held + count > limit ? .never : server.budget.verdict(held: held, count: count)
            if verdict == .fits {
                exchange.appendBody(slice)
            } else {
                refuseContent(verdict, exchange)
            }
        }
    }

    @inline(never)
    private final func requestEnded(_ exchange: ServerExchange) {
        switch exchange.handling {
        case .ignore: break
        case .stream(_, let onEnd):
            exchange.handling = .ignore
            onEnd(nil)
        case .collect(_, let handler):
            exchange.handling = .ignore
            let responder = HTTPResponder(exchange: exchange, generation: exchange.generation)
            exchange.withSavedRequest { handler($0, responder) }
        }
    }
}
