import HTTPCodec
import Pacing
import Reactor

/// Writing, deadlines, and the ways in which a connection comes to its end.
extension ServerConnection {
    /// Content up to this many bytes is copied behind its head, to leave in one system call.
    static let copiedBytes = 32 * 1024

    /// With this much written in one turn it goes out before more is made. Together with what
    /// `TCPConnection` queues below its high-water mark, this is all that a peer can make a
    /// connection hold that does not take its answers.
    static let outputBytes = 64 * 1024

    // MARK: Writing

    /// Appends content to the output, which the caller has claimed.
    func write(_ bytes: UnsafeRawBufferPointer, isChunk: Bool) {
        if bytes.isEmpty { return }
        if isChunk { server.output.chunkHead(count: bytes.count) }
        if bytes.count <= Self.copiedBytes {
            server.output.content(bytes)
            if server.output.count >= Self.outputBytes { flush() }
            server.claimOutput(for: self)
        } else {
            flush()
            heed(send(bytes))
            server.claimOutput(for: self)
        }
        if isChunk { server.output.chunkEnd() }
    }

    /// Hands the output to the reactor.
    func flush() {
        guard server.isOutput(of: self) else { return }
        server.disownOutput()
        if server.output.count == 0 { return }
        heed(send(server.output.bytes))
        server.output.removeAll()
    }

    func flushUnlessProcessing() {
        if exchange?.isProcessing != true { settle() }
    }

    private func heed(_ outcome: WriteOutcome) {
        guard outcome == .backpressured else { return }
        exchange?.isBackpressured = true
        server.hasQueuedMuch = true
    }

    /// The queue has drained far enough.
    func writable() {
        note { $0.advanced() }
        guard let exchange, exchange.isBackpressured else { return }
        exchange.isBackpressured = false
        let onWritable = exchange.onWritable
        exchange.onWritable = nil
        onWritable?()
        resume()
    }

    /// Goes on with what was kept.
    private func resume() {
        guard let exchange, !exchange.isProcessing, !exchange.isBackpressured else { return }
        processKept(exchange)
        settle()
    }

    /// As `resume`, but not inside the call that asks for it.
    func resumeLater() {
        server.loop.enqueue { [self] in resume() }
    }

    /// The response is complete.
    @inline(__always)
    func finishResponse(_ exchange: ServerExchange) {
        let after = exchange.messages.pointee.finishResponse()
        exchange.endRequest()
        if after == .keep, exchange.isProcessing { return }
        goOn(after, exchange)
    }

    private func goOn(_ after: AfterResponse, _ exchange: ServerExchange) {
        guard after == .keep else { return finish(after) }
        if exchange.kept.pointee.isEmpty { settle() } else { resumeLater() }
        flush()
    }

    // MARK: Between two steps

    /// Flushes, and brings reading and the deadline in line with where the machine stands.
    func settle() {
        if let exchange { settle(exchange) } else { flush() }
    }

    @inline(__always)
    func settle(_ exchange: ServerExchange) {
        flush()
        decide {
            $0.settle(
                standing(exchange), now: server.loop.now,
                contentDuration: server.configuration.bodyDuration, taken: takenBytes)
        }
    }

    @inline(__always)
    private func standing(_ exchange: ServerExchange) -> ServerConnectionMachine.Standing {
        var standing = ServerConnectionMachine.Standing(
            awaits: exchange.messages.pointee.deadline)
        standing.isBackpressured = exchange.isBackpressured
        standing.isPaused = exchange.isBodyPaused
        standing.keepsBytes = !exchange.kept.pointee.isEmpty
        if standing.awaits == .body { standing.isStreamed = exchange.isStreamed }
        standing.isLeaving = server.isDraining && unreadBytes == 0
        return standing
    }

    // MARK: Carrying out

    @inline(__always)
    func carryOut(_ orders: ServerConnectionMachine.Orders, _ lost: HTTPError?) {
        switch orders.step {
        case .goOn: break
        case .release: release()
        default: return carryOutEnding(orders, lost)
        }
        carryOutRest(orders)
    }

    @inline(__always)
    private func carryOutRest(_ orders: ServerConnectionMachine.Orders) {
        if let reads = orders.reads { readStream(reads) }
        if orders.timing != .keep { carryOut(orders.timing) }
    }

    private func carryOut(_ timing: ServerConnectionMachine.Timing) {
        switch timing {
        case .keep: break
        case .restart(let running): server.deadlines(running)?.restart(token)
        case .replace(let running, let wanted):
            server.deadlines(running)?.cancel(token)
            token = server.deadlines(wanted)?.start(self) ?? .none
        }
    }

    @inline(never)
    private func carryOutEnding(
        _ orders: ServerConnectionMachine.Orders, _ lost: HTTPError?
    ) {
        switch orders.step {
        case .goOn, .release: break
        case .refuse:
            guard let exchange else { break }
            return refuse(HTTPError(.timedOut, fault: .remote), exchange)
        case .endInput:
            guard let exchange else { break }
            return inputEnded(exchange)
        case .halfClosed(let isLast):
            guard let exchange else { break }
            if isLast { exchange.messages.pointee.stopAfterCurrent() }
            exchange.onPeerEnd?(.halfClosed)
        case .linger, .closeAfterWriting:
            flush()
            release()
            if orders.step == .linger { endStream() }
        case .abort, .close:
            drop(lost ?? HTTPError(.closed, fault: .local))
        }
        carryOutRest(orders)
        switch orders.step {
        case .abort: abortStream()
        case .close: closeStream()
        case .closeAfterWriting:
            if closeStreamAfterWriting() { decide { $0.queued(taken: takenBytes) } }
        default: break
        }
    }

    func deadlinePassed() {
        token = .none
        decide { $0.deadlinePassed(hasBegun: exchange != nil, taken: takenBytes) }
    }

    // MARK: The peer's end

    func ended(_ failure: (any StreamFailure)?) {
        if let failure {
            let lost = HTTPError(.connectionLost(StreamError(failure)), fault: .remote)
            decide(lost) { $0.peerFailed() }
        } else {
            decide { $0.peerEnded(exchange.map(standing)) }
        }
    }

    /// Nothing more will come, and what came has been read.
    private func inputEnded(_ exchange: ServerExchange) {
        switch exchange.messages.pointee.receiveEnd() {
        case .halfClosed: return
        case .clean: break
        case .truncated:
            failRequest(exchange, HTTPError(.connectionLost(nil), fault: .remote))
            guard self.exchange === exchange else { return }
        }
        finish(.close)
    }

    // MARK: Ending

    /// Answers what cannot be taken, if it can still be answered, and closes.
    func refuse(_ error: HTTPError, _ exchange: ServerExchange) {
        let canAnswer = exchange.messages.pointee.canRefuse
        failRequest(exchange, error)
        guard self.exchange === exchange else { return }
        if canAnswer {
            let status = error.reason == .timedOut ? 408 : error.statusHint
            server.claimOutput(for: self)
            let text = "\(error)\n"
            server.output.startResponse(status: status)
            server.output.field(literal: "Content-Type", "text/plain; charset=utf-8")
            server.output.fields(
                of: ResponsePlan(
                    framing: .length(Int64(text.utf8.count)), connection: .close,
                    sendsContent: true))
            server.output.endHead()
            var copy = text
            copy.withUTF8 { server.output.content(UnsafeRawBufferPointer($0)) }
        }
        finish(.closeLingering)
    }

    /// Ends the connection in the way that the messages have asked for, after what is queued.
    func finish(_ after: AfterResponse) {
        let keepsBytes = exchange?.kept.pointee.isEmpty == false
        decide { $0.finish(after, keepsBytes: keepsBytes) }
    }

    /// The server is going: now if nothing is under way, else after the last answer.
    func drain() {
        let isIdle = exchange.map { $0.messages.pointee.isIdle && $0.kept.pointee.isEmpty } ?? true
        decide { $0.drain(isIdle: isIdle, unreadBytes: unreadBytes) }
    }

    /// Whether the answer that begins now is the last before the server goes: not while requests
    /// wait behind it that the peer sent before it could know.
    func isLastOfDrain(_ exchange: ServerExchange) -> Bool {
        guard server.isDraining else { return false }
        let messages = exchange.messages
        if !messages.pointee.isRequestComplete { return true }
        return !messages.pointee.isFollowed && exchange.kept.pointee.isEmpty
            && unreadBytes == 0
    }

    func abort() { finish(.abort) }

    /// The reactor is done with the connection, for whatever reason.
    func handleClosed() {
        decide { $0.closed() }
        drop(HTTPError(.connectionLost(nil), fault: .remote))
    }

    /// Lets go of what is under way and of what was written for it.
    private func drop(_ error: HTTPError) {
        if server.isOutput(of: self) {
            server.disownOutput()
            server.output.removeAll()
        }
        guard let exchange else { return }
        self.exchange = nil
        failRequest(exchange, error)
        server.giveBack(exchange)
    }

    /// Tells whoever waits for the request or its answer that there is nothing to wait for.
    private func failRequest(_ exchange: ServerExchange, _ error: HTTPError) {
        let handling = exchange.handling
        let onPeerEnd = exchange.onPeerEnd
        exchange.endRequest()
        if case .stream(_, let onEnd) = handling { onEnd(error) }
        onPeerEnd?(.gone)
    }

    private func release() {
        guard let exchange else { return }
        self.exchange = nil
        server.giveBack(exchange)
    }
}

@available(*, unavailable)
extension ServerConnection: Sendable {}
