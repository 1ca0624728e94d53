/// Which deadline of a connection applies now; how long each is belongs to the adapter.
@frozen
public enum ConnectionDeadline: Equatable, Sendable {
    /// None: the next move is this side's own.
    case none
    /// Between two requests.
    case idle
    /// A head is on its way (on a new connection: expected).
    case head
    /// Content is on its way.
    case body
}

/// The messages on a server's HTTP/1.1 connection: bytes in, events out; one request at a time.
/// ``ServerConnectionMachine`` is what decides about the connection itself.
///
///     reading     input                        next        event
///     head        a whole head, no content     complete    request
///                 a whole head, content        body        request
///                 bytes nobody may send        closed      failed
///     body        content                      body        body (nothing once answered)
///                 its end                      complete    endOfRequest
///                 its end, already answered    head        drained
///                 more than may be drained     closed      closed
///     complete    anything                     complete    awaitingResponse (consumes nothing)
///                 finishResponse, kept         head
///     any         finishResponse, not kept     closed
///     closed      anything                     closed      closed (consumes all)
///
/// Pull style: call `receive` until it says `needMore`, `awaitingResponse` or `closed`, dropping
/// what it consumed each time and keeping what it did not. Pipelined requests wait unparsed
/// until the response before them is finished.
public struct ServerMessageMachine: Sendable {
    /// What one step came to.
    public enum Event: Equatable, Sendable {
        /// Hand in again what was not consumed, with more behind it.
        case needMore
        /// Its head and fields are in the context until the next call. `endOfRequest` follows only
        /// if the head's `framing` is not `none`.
        case request
        /// Content, as indices into the bytes that were handed in.
        case body(Range<Int>)
        /// See `BodyDecoder.Event.trailers`; `endOfRequest` follows.
        case trailers(bytes: Range<Int>, fieldCount: Int)
        case endOfRequest
        /// The rest of a request that had been answered early is gone; go on.
        case drained
        /// A response is outstanding; stop reading until it is finished.
        case awaitingResponse
        /// Answer with the status hint if no response has started, then close.
        case failed(HTTPCodecError)
        /// Nothing will be read from this connection any more.
        case closed
    }

    /// One step of the machine.
    public struct Step: Equatable, Sendable {
        /// How many of the bytes that were handed in are used up.
        public var consumed: Int
        /// What the step came to.
        public var event: Event
    }

    /// How the peer's end of the connection is to be taken.
    public enum EndOfInput: Equatable, Sendable {
        /// Between requests: close.
        case clean
        /// In the middle of a request: close, nobody is listening for a complete answer.
        case truncated(HTTPCodecError)
        /// The request is complete and its answer is still wanted; close after it.
        case halfClosed
    }

    enum Reading: UInt8, Sendable { case head, body, complete, closed }
    enum Responding: UInt8, Sendable { case none, pending, started, finished }

    var reading = Reading.head
    var responding = Responding.none
    var keepsAlive = true
    var isLast = false
    var isHTTP10 = false
    var isHead = false
    /// The client waits for 100 (Continue) and has not been told.
    var continueIsOwed = false
    var hasServed = false
    private var parser = HeadParser()
    var decoder = BodyDecoder(.none)
    /// Bytes of the message under way that were consumed; the base of error offsets.
    private var offset = 0
    private var drained: Int64 = 0
    private var hasSurplus = false
    /// Content bytes the response still owes; negative where its length was not declared.
    var owed: Int64 = -1

    /// - Parameter hasServed: whether the connection has had a request before. Between two requests
    ///   a machine holds nothing else, so a server need not keep it.
    public init(hasServed: Bool = false) { self.hasServed = hasServed }

    /// Which of the connection's deadlines runs now.
    public var deadline: ConnectionDeadline {
        switch reading {
        case .head: parser.hasBegun || !hasServed ? .head : .idle
        case .body: .body
        case .complete, .closed: .none
        }
    }

    /// Whether no request is under way: nothing is lost if the connection closes now.
    public var isIdle: Bool { reading == .head && !parser.hasBegun }

    /// Whether the request under way has been read to its end.
    public var isRequestComplete: Bool { reading == .complete }

    /// Whether bytes stood behind the request under way when it was complete.
    public var isFollowed: Bool { reading == .complete && hasSurplus }

    /// Whether nothing will be read any more.
    public var isClosed: Bool { reading == .closed }

    /// Does one step.
    public mutating func receive(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        switch reading {
        case .head: return receiveHead(bytes, context)
        case .body: return receiveBody(bytes, context)
        case .complete: return Step(consumed: 0, event: .awaitingResponse)
        case .closed: return Step(consumed: bytes.count, event: .closed)
        }
    }

    @inline(__always)
    private mutating func receiveHead(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        switch parser.parseRequest(bytes, context) {
        case .incomplete:
            return Step(consumed: 0, event: .needMore)
        case .failed(let error):
            return fail(error)
        case .complete:
            let head = context.requestSlot.pointee
            if head.method == .connect {
                return fail(HTTPCodecError(request: .connectUnsupported, offset: 0))
            }
            hasServed = true
            keepsAlive = head.keepsAlive && !isLast
            isHTTP10 = head.minorVersion == 0
            isHead = head.method == .head
            continueIsOwed = head.expectsContinue
            responding = .pending
            if head.framing == .none {
                reading = .complete
                hasSurplus = bytes.count > Int(head.byteCount)
            } else {
                reading = .body
                decoder = BodyDecoder(head.framing)
                offset = Int(head.byteCount)
                drained = 0
            }
            return Step(consumed: Int(head.byteCount), event: .request)
        }
    }

    private mutating func receiveBody(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> Step {
        var consumed = 0
        while true {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[consumed...])
            let step = decoder.next(rest, context)
            let start = consumed
            consumed += step.consumed
            let base = offset
            offset += step.consumed
            switch step.event {
            case .needMore:
                return Step(consumed: consumed, event: .needMore)
            case .failed(let reason, let at):
                return fail(HTTPCodecError(request: reason, offset: base + at))
            case .data(let range):
                continueIsOwed = false
                if responding != .finished {
                    let slice = (start + range.lowerBound)..<(start + range.upperBound)
                    return Step(consumed: consumed, event: .body(slice))
                }
                drained += Int64(range.count)
                if drained > context.limits.maximumDrainBytes {
                    reading = .closed
                    return Step(consumed: bytes.count, event: .closed)
                }
            case .trailers(let range, let fieldCount):
                if responding != .finished {
                    let slice = (start + range.lowerBound)..<(start + range.upperBound)
                    return Step(
                        consumed: consumed, event: .trailers(bytes: slice, fieldCount: fieldCount))
                }
            case .end:
                if responding != .finished {
                    reading = .complete
                    hasSurplus = bytes.count > consumed
                    return Step(consumed: consumed, event: .endOfRequest)
                }
                reset()
                return Step(consumed: consumed, event: .drained)
            }
        }
    }

    private mutating func fail(_ error: HTTPCodecError) -> Step {
        reading = .closed
        keepsAlive = false
        return Step(consumed: 0, event: .failed(error))
    }

    /// Ready for the next request of the connection.
    mutating func reset() {
        reading = .head
        responding = .none
        offset = 0
    }

    /// The peer has closed its side.
    public mutating func receiveEnd() -> EndOfInput {
        let wasReading = reading
        let bodyIsWanted = responding != .finished
        keepsAlive = false
        isLast = true
        switch wasReading {
        case .complete:
            return .halfClosed
        case .closed:
            return .clean
        case .head:
            reading = .closed
            if !parser.hasBegun { return .clean }
            offset = parser.scannedBytes
        case .body:
            reading = .closed
            if !bodyIsWanted { return .clean }
        }
        return .truncated(HTTPCodecError(request: .truncated, offset: offset))
    }
}
