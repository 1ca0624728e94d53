/// What a parser says about the bytes so far.
public enum ParseOutcome: Equatable, Sendable {
    /// Well-formed so far, but not all there: call again with the same bytes and more.
    case incomplete
    /// The head is in the context.
    case complete
    case failed(HTTPCodecError)
}

/// A resumable parser for request heads, response heads and trailer sections (RFC 9112 §2–§5).
///
/// Hand it all bytes of the head from its first one, each time with more at the end. It remembers
/// how far it has looked, so a head that arrives byte by byte costs two passes, not one a byte;
/// and it speaks as soon as the first wrong byte is there. The outcome is a function of the bytes
/// alone, however they were split. Field lines are written to the context's table; a head that
/// came in pieces is read once more at its end, because other heads used the table meanwhile.
public struct HeadParser: Sendable {
    enum Phase: UInt8, Sendable {
        case start, method, target, version, statusLine, reason
        case fieldStart, fieldName, valueStart, value
    }

    private var position: UInt32 = 0
    private var mark: UInt32 = 0
    private var fieldCount: UInt32 = 0
    private var phase = Phase.start

    /// A parser at the beginning of a head.
    public init() {}

    /// Whether any byte of a head has been looked at.
    public var hasBegun: Bool { position != 0 || phase != .start }

    /// Bytes of an unfinished head that have been looked at.
    var scannedBytes: Int { Int(position) }

    /// Parses a request head into `context.requestHead`. After `complete` or `failed` the parser
    /// is ready for another.
    public mutating func parseRequest(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> ParseOutcome {
        let isResumed = hasBegun
        guard var cursor = cursor(over: bytes, context) else { return .incomplete }
        let head = context.requestSlot
        head.pointee = RequestHead()
        var progress = HeadCursor.Progress.done
        if cursor.phase.rawValue < Phase.fieldStart.rawValue {
            progress = cursor.requestLine(&head.pointee, context.limits)
        }
        if progress == .done {
            progress = cursor.fieldSection(context.lines, context.limits.maximumFieldCount)
        }
        switch progress {
        case .done:
            self = HeadParser()
            if isResumed { return parseRequest(bytes, context) }
            head.pointee.byteCount = UInt32(truncatingIfNeeded: cursor.position)
            head.pointee.fieldCount = UInt32(truncatingIfNeeded: cursor.fieldCount)
            if let error = head.pointee.interpret(cursor.base, context) { return .failed(error) }
            return .complete
        case .more:
            return suspend(cursor, bytes, context) { HTTPCodecError(request: $0, offset: $1) }
        case .failed:
            self = HeadParser()
            return .failed(HTTPCodecError(request: cursor.failure, offset: cursor.position))
        }
    }

    /// Parses a response head into `context.responseHead`; `requestMethod` decides whether
    /// content follows it.
    public mutating func parseResponse(
        _ bytes: UnsafeRawBufferPointer, to requestMethod: RequestMethod,
        _ context: HTTPCodecContext
    ) -> ParseOutcome {
        let isResumed = hasBegun
        guard var cursor = cursor(over: bytes, context) else { return .incomplete }
        cursor.allowsFolds = true
        let head = context.responseSlot
        head.pointee = ResponseHead()
        var progress = HeadCursor.Progress.done
        if cursor.phase.rawValue < Phase.fieldStart.rawValue {
            progress = cursor.statusLine(&head.pointee)
        }
        if progress == .done {
            progress = cursor.fieldSection(context.lines, context.limits.maximumFieldCount)
        }
        switch progress {
        case .done:
            self = HeadParser()
            if isResumed { return parseResponse(bytes, to: requestMethod, context) }
            if cursor.hasFolds {
                let unfolded = context.unfold(bytes, count: cursor.position)
                let outcome = parseResponse(unfolded, to: requestMethod, context)
                head.pointee.isUnfolded = true
                return outcome
            }
            head.pointee.byteCount = UInt32(truncatingIfNeeded: cursor.position)
            head.pointee.fieldCount = UInt32(truncatingIfNeeded: cursor.fieldCount)
            if let error = head.pointee.interpret(cursor.base, to: requestMethod, context) {
                return .failed(error)
            }
            return .complete
        case .more:
            return suspend(cursor, bytes, context) { HTTPCodecError(response: $0, offset: $1) }
        case .failed:
            self = HeadParser()
            return .failed(HTTPCodecError(response: cursor.failure, offset: cursor.position))
        }
    }

    /// Parses a trailer section (RFC 9112 §7.1.2): field lines up to an empty line.
    ///
    /// - Parameter unfolds: takes folds for spaces; ``HTTPCodecContext/fields(in:count:)`` knows.
    mutating func parseTrailers(
        _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext, unfolds: Bool
    ) -> TrailerOutcome {
        let isResumed = hasBegun
        if !isResumed { phase = .fieldStart }
        guard var cursor = cursor(over: bytes, context) else { return .incomplete }
        cursor.allowsFolds = unfolds
        switch cursor.fieldSection(context.lines, context.limits.maximumFieldCount) {
        case .done:
            self = HeadParser()
            if isResumed { return parseTrailers(bytes, context, unfolds: unfolds) }
            if cursor.hasFolds {
                let unfolded = context.unfold(bytes, count: cursor.position)
                let outcome = parseTrailers(unfolded, context, unfolds: unfolds)
                context.trailersAreUnfolded = true
                return outcome
            }
            context.trailersAreUnfolded = false
            return .complete(byteCount: cursor.position, fieldCount: cursor.fieldCount)
        case .more:
            if cursor.end < context.limits.maximumHeadBytes {
                save(cursor)
                return .incomplete
            }
            return .failed(.headTooLarge, offset: cursor.end)
        case .failed:
            return .failed(cursor.failure, offset: cursor.position)
        }
    }

    enum TrailerOutcome {
        case incomplete
        case complete(byteCount: Int, fieldCount: Int)
        case failed(HTTPCodecError.Reason, offset: Int)
    }

    @inline(__always)
    private func cursor(
        over bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext
    ) -> HeadCursor? {
        guard let base = bytes.baseAddress else { return nil }
        return HeadCursor(
            base: base, end: min(bytes.count, context.limits.maximumHeadBytes),
            position: Int(position), mark: Int(mark), fieldCount: Int(fieldCount), phase: phase)
    }

    private mutating func save(_ cursor: HeadCursor) {
        position = UInt32(truncatingIfNeeded: cursor.position)
        mark = UInt32(truncatingIfNeeded: cursor.mark)
        fieldCount = UInt32(truncatingIfNeeded: cursor.fieldCount)
        phase = cursor.phase
    }

    /// Keeps the place, unless the limit says that no end can come any more.
    private mutating func suspend(
        _ cursor: HeadCursor, _ bytes: UnsafeRawBufferPointer, _ context: HTTPCodecContext,
        _ makeError: (HTTPCodecError.Reason, Int) -> HTTPCodecError
    ) -> ParseOutcome {
        guard cursor.end >= context.limits.maximumHeadBytes else {
            save(cursor)
            return .incomplete
        }
        self = HeadParser()
        let inRequestLine = cursor.phase == .target || cursor.phase == .version
        return .failed(makeError(inRequestLine ? .targetTooLong : .headTooLarge, cursor.end))
    }
}
