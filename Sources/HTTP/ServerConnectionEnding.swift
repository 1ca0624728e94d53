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

    /// An idle connection closes after this many rounds without a request, so between one
    /// `idleTimeout` and an eighth more.
    static let idleRoundCount: UInt8 = 9

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
            note(send(bytes))
            server.claimOutput(for: self)
        }
        if isChunk { server.output.chunkEnd() }
    }

    /// Hands the output to the reactor.
    func flush() {
        guard server.isOutput(of: self) else { return }
        server.disownOutput()
        if server.output.count == 0 { return }
        note(send(server.output.bytes))
        server.output.removeAll()
    }

    func flushUnlessProcessing() {
        if exchange?.isProcessing != true { settle() }
    }

    private func note(_ outcome: WriteOutcome) {
        guard outcome == .backpressured else { return }
        exchange?.isBackpressured = true
        server.hasQueuedMuch = true
    }

    /// The queue has drained far enough.
    func writable() {
        progress.advanced()
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
        let after = exchange.machine.pointee.finishResponse()
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
        if isGone { return }
        let wanted = exchange.machine.pointee.deadline
        let isBlocked = exchange.isBackpressured || exchange.isBodyPaused
        if isBlocked {
            setReading(false)
            return setDeadline(exchange.isBackpressured ? .write : .none)
        }
        if hasEnded, wanted != .none { return inputEnded(exchange) }
        setReading(wanted != .none || exchange.kept.pointee.isEmpty)
        switch wanted {
        case .none: setDeadline(.none)
        case .body:
            if bodyIsOverdue(exchange) {
                return refuse(HTTPError(.timedOut, fault: .remote), exchange)
            }
            setDeadline(.body)
        case .head: setDeadline(.head)
        case .idle:
            if server.isDraining, unreadBytes == 0 { return finish(.close) }
            if exchange.kept.pointee.isEmpty { release() }
            setDeadline(.idle)
        }
    }

    /// Whether the content of the request under way takes longer in all than it may.
    private func bodyIsOverdue(_ exchange: ServerExchange) -> Bool {
        if case .stream = exchange.handling { return false }
        let now = server.loop.now
        guard exchange.bodyGeneration == exchange.generation else {
            exchange.bodyGeneration = exchange.generation
            exchange.bodyEnd = now + server.configuration.bodyDuration
            return false
        }
        return now >= exchange.bodyEnd
    }

    func setReading(_ isOn: Bool) {
        if isOn == isReading || hasEnded { return }
        isReading = isOn
        readStream(isOn)
    }

    /// The body deadline starts anew each time; a head has to be complete in time. The idle one
    /// keeps running and counts its rounds: with it a request pays a store for its deadline.
    func setDeadline(_ wanted: Deadline) {
        idleRounds = 0
        if wanted == deadline {
            if wanted == .body, let token { server.bodyDeadlines.restart(token) }
            return
        }
        changeDeadline(wanted)
    }

    private func changeDeadline(_ wanted: Deadline) {
        if let token { deadlines(deadline)?.cancel(token) }
        deadline = wanted
        if wanted == .write { progress = WriteProgress(taken: takenBytes) }
        token = deadlines(wanted)?.start(self)
    }

    private func deadlines(_ which: Deadline) -> DeadlineClass<ServerConnection>? {
        switch which {
        case .none: nil
        case .head: server.headDeadlines
        case .body: server.bodyDeadlines
        case .idle: server.idleDeadlines
        case .write: server.writeDeadlines
        case .linger: server.lingerDeadlines
        }
    }

    func deadlinePassed() {
        let passed = deadline
        token = nil
        deadline = .none
        switch passed {
        case .none: break
        case .linger: finishWriting()
        case .idle:
            let rounds = idleRounds + 1
            if rounds == Self.idleRoundCount { return finish(.close) }
            setDeadline(.idle)
            idleRounds = rounds
        case .write:
            guard progress.look(taken: takenBytes) else { return abort() }
            deadline = .write
            token = server.writeDeadlines.start(self)
        case .head, .body:
            guard let exchange else { return finish(.close) }
            refuse(HTTPError(.timedOut, fault: .remote), exchange)
        }
    }

    // MARK: The peer's end

    func ended(_ error: (any StreamFailure)?) {
        hasEnded = true
        isReading = false
        if let error {
            return close(HTTPError(.connectionLost(StreamError(error)), fault: .remote))
        }
        if isLingering { return finishWriting() }
        if isFinishing { return }
        guard let exchange else { return finish(.close) }
        if exchange.machine.pointee.deadline == .none {
            // Its answer is outstanding. What was pipelined behind it is still to come.
            if exchange.kept.pointee.isEmpty { exchange.machine.pointee.stopAfterCurrent() }
            exchange.onPeerEnd?(.halfClosed)
        } else {
            settle()
        }
    }

    /// Nothing more will come, and what came has been read.
    private func inputEnded(_ exchange: ServerExchange) {
        switch exchange.machine.pointee.receiveEnd() {
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
        let canAnswer = exchange.machine.pointee.canRefuse
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

    /// Ends the connection in the way that the machine has asked for, after what is queued.
    func finish(_ after: AfterResponse) {
        switch after {
        case .keep: return
        case .abort: return abort()
        case .close, .closeLingering: break
        }
        // Bytes that nobody reads would make the kernel reset the connection.
        let isFollowed = exchange?.kept.pointee.isEmpty == false
        flush()
        release()
        guard after == .closeLingering || isFollowed, !hasEnded else { return finishWriting() }
        isLingering = true
        endStream()
        setReading(true)
        setDeadline(.linger)
    }

    /// Closes once the peer has taken what is queued, as long as it takes something.
    private func finishWriting() {
        isLingering = false
        isFinishing = true
        setReading(true)
        setDeadline(closeStreamAfterWriting() ? .write : .none)
    }

    /// The server is going: now if nothing is under way, else after the last answer.
    func drain() {
        if isGone || isFinishing || isLingering { return }
        let isIdle = exchange.map { $0.machine.pointee.isIdle && $0.kept.pointee.isEmpty } ?? true
        if isIdle, unreadBytes == 0 { finish(.close) }
    }

    /// Whether the answer that begins now is the last before the server goes: not while requests
    /// wait behind it that the peer sent before it could know.
    func isLastOfDrain(_ exchange: ServerExchange) -> Bool {
        guard server.isDraining else { return false }
        let machine = exchange.machine
        if !machine.pointee.isRequestComplete { return true }
        return !machine.pointee.isFollowed && exchange.kept.pointee.isEmpty
            && unreadBytes == 0
    }

    func close(_ error: HTTPError = HTTPError(.closed, fault: .local)) {
        tearDown(error)
        closeStream()
    }

    func abort() {
        tearDown(HTTPError(.closed, fault: .local))
        abortStream()
    }

    /// The reactor is done with the connection, for whatever reason.
    func handleClosed() {
        tearDown(HTTPError(.connectionLost(nil), fault: .remote))
    }

    private func tearDown(_ error: HTTPError) {
        if isGone { return }
        isGone = true
        setDeadline(.none)
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
