/// How much content a handler means to send.
public enum ResponseContent: Equatable, Sendable {
    /// This many bytes, possibly zero.
    case length(Int64)
    /// As much as it turns out to be.
    case unknown
}

/// How a response has to be written.
public struct ResponsePlan: Equatable, Sendable {
    /// How content is delimited.
    public enum Framing: Equatable, Sendable {
        /// Neither Content-Length nor Transfer-Encoding (1xx, 204, 304).
        case noContent
        case length(Int64)
        case chunked
        /// Content ends with the connection (HTTP/1.0 and no length).
        case untilClose
    }

    /// What the Connection field says.
    public enum ConnectionField: Equatable, Sendable {
        case omitted
        case close
        /// Said to clients of HTTP/1.0, which have to be told.
        case keepAlive
    }

    /// How the content is delimited.
    public var framing: Framing
    /// What the Connection field says.
    public var connection: ConnectionField
    /// False for HEAD, 204 and 304: content handed in is to be dropped.
    public var sendsContent: Bool

    /// A plan made by hand, for responses outside the machine.
    public init(framing: Framing, connection: ConnectionField, sendsContent: Bool) {
        self.framing = framing
        self.connection = connection
        self.sendsContent = sendsContent
    }
}

/// What becomes of the connection after a response.
public enum AfterResponse: Equatable, Sendable {
    /// Go on calling `receive`, first with what was not consumed.
    case keep
    /// Close once everything is written.
    case close
    /// As `close`, but the client has sent more or is still sending: half-close and read to its
    /// end for a while, or the reset that follows may take the response away from it (RFC 9112
    /// §9.6).
    case closeLingering
    /// The response is shorter than it declared: the client must not take it for a whole one.
    case abort
}

extension ServerMessageMachine {
    /// Whether 100 (Continue) is to be sent now that content is wanted; true at most once a
    /// request. Not calling it means that an answer without reading the content is intended.
    public mutating func takeContinue() -> Bool {
        guard continueIsOwed, responding == .pending, reading == .body else { return false }
        continueIsOwed = false
        return true
    }

    /// Whether no response has been started to what is (or was to become) the current request, so
    /// that an error can still be answered.
    public var canRefuse: Bool { responding == .none || responding == .pending }

    /// The connection is to close after the response under way, or now if it is idle.
    public mutating func stopAfterCurrent() {
        isLast = true
        if responding != .started { keepsAlive = false }
    }

    /// Starts the final response to the request under way. Nil when there is none, or when its
    /// response has been started already.
    public mutating func startResponse(
        status: Int, content: ResponseContent, _ context: HTTPCodecContext
    ) -> ResponsePlan? {
        guard responding == .pending, reading != .closed else { return nil }
        responding = .started
        if isLast || !restCanBeDrained(context.limits) { keepsAlive = false }
        var plan = ResponsePlan(framing: .noContent, connection: .omitted, sendsContent: false)
        owed = 0
        if status >= 200, status != 204, status != 304 {
            plan.sendsContent = !isHead
            switch content {
            case .length(let length):
                plan.framing = .length(length)
                owed = isHead ? 0 : length
            case .unknown:
                owed = isHead ? 0 : -1
                plan.framing = isHTTP10 ? .untilClose : .chunked
                if isHTTP10 { keepsAlive = false }
            }
        }
        if !keepsAlive {
            plan.connection = .close
        } else if isHTTP10 {
            plan.connection = .keepAlive
        }
        return plan
    }

    /// Counts content against what was declared. False when it would be too much: it must not
    /// be written, the client would take it for the next response.
    public mutating func sendContent(_ count: Int) -> Bool {
        guard responding == .started else { return false }
        if owed < 0 { return true }
        guard Int64(count) <= owed else { return false }
        owed -= Int64(count)
        return true
    }

    /// The response is written as far as it will be.
    public mutating func finishResponse() -> AfterResponse {
        guard responding == .started else { return .abort }
        responding = .finished
        if owed > 0 {
            reading = .closed
            return .abort
        }
        if !keepsAlive || isLast {
            let isAllRead = isRequestComplete && !isFollowed
            reading = .closed
            return isAllRead ? .close : .closeLingering
        }
        if reading == .complete { reset() }
        return .keep
    }

    /// Whether what is left of the request may be read just to get past it.
    private func restCanBeDrained(_ limits: HTTPLimits) -> Bool {
        if reading == .complete { return true }
        // Waiting for 100: after a final status instead, the content may come or may not.
        if continueIsOwed { return false }
        guard let rest = decoder.remainingBytes else { return true }
        return rest <= limits.maximumDrainBytes
    }
}
