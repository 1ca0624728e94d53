/// The client's side of one HTTP/1.1 connection: bytes in, events out; one request at a time.
///
///     state      input                     next     event
///     idle       startRequest              head
///                any byte                  closed   failed(unexpectedBytes)
///     head       a head of 1xx             head     informational
///                a head, no content        idle     response
///                a head, content           body     response
///     body       content                   body     body
///                its end                   idle     endOfResponse
///     any        bytes nobody may send     closed   failed
///
/// "idle" becomes "closed" where the connection cannot be used again; see `isReusable`. One reason
/// are bytes behind the response that were handed in with its end: nobody has asked for them. The
/// response is whole and counts, but the next one could not be told from them (RFC 9112 §6.3).
public struct ClientConnectionMachine: Sendable {
    /// What one step came to.
    public enum Event: Equatable, Sendable {
        /// Hand in again what was not consumed, with more behind it.
        case needMore
        /// 1xx; the response itself is still to come.
        case informational(ResponseHead)
        /// Its fields are in the context's table until the next call. `endOfResponse` follows
        /// only if `framing` is not `none`.
        case response(ResponseHead)
        /// Content, as indices into the bytes that were handed in.
        case body(Range<Int>)
        /// See `BodyDecoder.Event.trailers`; `endOfResponse` follows.
        case trailers(bytes: Range<Int>, fieldCount: Int)
        case endOfResponse
        case failed(HTTPCodecError)
    }

    /// One step of the machine.
    public struct Step: Equatable, Sendable {
        /// How many of the bytes that were handed in are used up.
        public var consumed: Int
        /// What the step came to.
        public var event: Event
    }

    private enum State: UInt8, Sendable { case idle, head, body, closed }

    private var state = State.idle
    private var method = RequestMethod.get
    private var requestIsSent = true
    private var keepsAlive = true
    private var sawBytes = false
    /// Requests that it has carried, the one under way included.
    public private(set) var requestCount = 0
    private var informationalCount: UInt8 = 0
    private var parser = HeadParser()
    private var decoder = BodyDecoder(.none)
    private var offset = 0

    /// A connection that has just been made.
    public init() {}

    /// Which of the connection's deadlines runs now.
    public var deadline: ConnectionDeadline {
        switch state {
        case .idle: .idle
        case .head: .head
        case .body: .body
        case .closed: .none
        }
    }

    /// Whether another request may be sent now.
    public var isReusable: Bool { state == .idle && keepsAlive && requestIsSent }

    /// Whether a response is outstanding.
    public var isWaiting: Bool { state == .head || state == .body }

    /// Whether any byte of a response has come: after that a request is not repeated blindly.
    public var hasSeenResponseBytes: Bool { sawBytes }

    /// A request is being sent. False where the connection cannot take one.
    ///
    /// - Parameters:
    ///   - keepsAlive: false when the request says `Connection: close`.
    ///   - isComplete: false when content follows; call `finishRequest` after it.
    public mutating func startRequest(
        method: RequestMethod, keepsAlive: Bool = true, isComplete: Bool = true
    ) -> Bool {
        guard isReusable, method != .connect else { return false }
        self.method = method
        self.keepsAlive = keepsAlive
        requestIsSent = isComplete
        informationalCount = 0
        sawBytes = false
        requestCount &+= 1
        offset = 0
        state = .head
        return true
    }

    /// All content of the request is written.
    public mutating func finishRequest() { requestIsSent = true }

    /// Does one step. Call again until it asks for more, the response is complete, or it fails.
    public mutating func receive(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        if bytes.isEmpty, state != .body { return Step(consumed: 0, event: .needMore) }
        switch state {
        case .idle, .closed:
            return fail(HTTPCodecError(response: .unexpectedBytes, offset: 0))
        case .head:
            sawBytes = true
            return receiveHead(bytes, context)
        case .body:
            return receiveBody(bytes, context)
        }
    }

    private mutating func receiveHead(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        switch parser.parseResponse(bytes, to: method, context) {
        case .incomplete:
            return Step(consumed: 0, event: .needMore)
        case .failed(var error):
            error.offset += offset
            return fail(error)
        case .complete:
            let head = context.responseHead
            let consumed = Int(head.byteCount)
            if head.isInformational { return receiveInformational(head) }
            keepsAlive = keepsAlive && head.keepsAlive
            offset += consumed
            if head.framing == .none {
                finish(surplus: bytes.count - consumed)
            } else {
                decoder = BodyDecoder(head.framing, unfoldsTrailers: true)
                state = .body
            }
            return Step(consumed: consumed, event: .response(head))
        }
    }

    private mutating func receiveInformational(_ head: ResponseHead) -> Step {
        if head.status == 101 {
            // Nobody asked for it (RFC 9110 §7.8), and what follows is not HTTP.
            return fail(HTTPCodecError(response: .upgradeUnsupported, offset: offset))
        }
        informationalCount += 1
        if informationalCount > HTTPLimits.maximumInformationalResponses {
            return fail(HTTPCodecError(response: .tooManyInformationalResponses, offset: offset))
        }
        offset += Int(head.byteCount)
        return Step(consumed: Int(head.byteCount), event: .informational(head))
    }

    private mutating func receiveBody(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        let step = decoder.next(bytes, context)
        let base = offset
        offset += step.consumed
        switch step.event {
        case .needMore:
            return Step(consumed: step.consumed, event: .needMore)
        case .data(let range):
            return Step(consumed: step.consumed, event: .body(range))
        case .trailers(let range, let fieldCount):
            return Step(
                consumed: step.consumed, event: .trailers(bytes: range, fieldCount: fieldCount))
        case .end:
            finish(surplus: bytes.count - step.consumed)
            return Step(consumed: step.consumed, event: .endOfResponse)
        case .failed(let reason, let at):
            return fail(HTTPCodecError(response: reason, offset: base + at))
        }
    }

    /// The server has closed its side. Nil when no response was outstanding or is left to report.
    public mutating func receiveEnd() -> Event? {
        let wasWaiting = isWaiting
        let isProperEnd = state == .body && decoder.mayEndWithConnection
        let at = offset + parser.scannedBytes
        state = .closed
        keepsAlive = false
        if !wasWaiting { return nil }
        if isProperEnd { return .endOfResponse }
        return .failed(HTTPCodecError(response: .truncated, offset: at))
    }

    /// What the end of a connection means for the request that was under way.
    public enum Outcome: Equatable, Sendable {
        /// The end was the end of the response, which is whole.
        case complete
        /// The server closed a connection that was kept just as it was used again, and no byte of
        /// an answer came: nobody's fault, and the request may be sent once more on another one
        /// (RFC 9112 §9.3.1).
        case stale
        /// The response is not complete, and there will be none.
        case lost
        /// No request was under way.
        case idle
    }

    /// The peer sends nothing more.
    ///
    /// - Parameters:
    ///   - isFailure: the connection broke off, so that its end is no end of a response.
    ///   - mayRepeat: whether doing the request twice is as good as once, and it was done only
    ///     once.
    public mutating func connectionEnded(isFailure: Bool, mayRepeat: Bool) -> Outcome {
        let isStale = requestCount > 1 && !sawBytes
        switch receiveEnd() {
        case nil: return .idle
        case .endOfResponse? where !isFailure: return .complete
        default: return isStale && mayRepeat ? .stale : .lost
        }
    }

    private mutating func finish(surplus: Int) {
        if surplus > 0 { keepsAlive = false }
        // A response before the end of the request: the server will not read the rest of it.
        state = keepsAlive && requestIsSent ? .idle : .closed
    }

    private mutating func fail(_ error: HTTPCodecError) -> Step {
        state = .closed
        keepsAlive = false
        return Step(consumed: 0, event: .failed(error))
    }
}
