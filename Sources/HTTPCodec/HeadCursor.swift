/// The parser at work: a local copy of its state, which the optimizer keeps in registers.
///
/// Each phase can be entered again at the byte where it ran out of input:
///
///     phase        ends at                  then
///     start        any byte                 method (after one empty line, RFC 9112 §2.2)
///     method       SP                       target
///     target       SP                       version
///     version      CRLF                     fieldStart
///     statusLine   SP or CRLF               reason, or fieldStart
///     reason       CRLF                     fieldStart
///     fieldStart   CRLF                     done
///                  any other byte           fieldName
///     fieldName    ":"                      valueStart
///     valueStart   first byte but SP, HTAB  value
///     value        CRLF                     fieldStart
///
/// A line that begins with a blank continues the value before it (obs-fold, RFC 9112 §5.2). It is
/// refused where `allowsFolds` is false; else `hasFolds` tells that the head has to be unfolded and
/// read again, because the field lines found by this pass are not right.
struct HeadCursor {
    enum Progress { case done, more, failed }

    let base: UnsafeRawPointer
    /// No byte at or past this index is read.
    let end: Int
    var position: Int
    /// Where the token under way began.
    var mark: Int
    var fieldCount: Int
    var phase: HeadParser.Phase
    var failure = HTTPCodecError.Reason.truncated
    var allowsFolds = false
    private(set) var hasFolds = false

    private static let carriageReturn: UInt8 = 0x0D
    private static let lineFeed: UInt8 = 0x0A
    private static let space: UInt8 = 0x20
    private static let tab: UInt8 = 0x09

    init(
        base: UnsafeRawPointer, end: Int, position: Int, mark: Int, fieldCount: Int,
        phase: HeadParser.Phase
    ) {
        self.base = base
        self.end = end
        self.position = position
        self.mark = mark
        self.fieldCount = fieldCount
        self.phase = phase
    }

    @inline(__always)
    private func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }

    @inline(__always)
    private mutating func fail(_ reason: HTTPCodecError.Reason, at index: Int) -> Progress {
        failure = reason
        position = index
        return .failed
    }

    /// `position` is at a CR: LF must follow. Advances over both.
    @inline(__always)
    private mutating func lineEnd() -> Progress {
        guard position &+ 1 < end else { return .more }
        guard byte(position &+ 1) == Self.lineFeed else {
            return fail(.bareCarriageReturn, at: position)
        }
        position &+= 2
        return .done
    }

    // MARK: Start lines

    @inline(__always)
    mutating func requestLine(_ head: inout RequestHead, _ limits: HTTPLimits) -> Progress {
        if phase == .start {
            let progress = skipEmptyLine()
            if progress != .done { return progress }
        }
        if phase == .method {
            position = ByteScan.endOfToken(base, from: position, to: end)
            if position &- mark > HTTPLimits.maximumMethodBytes {
                return fail(.methodTooLong, at: mark &+ HTTPLimits.maximumMethodBytes)
            }
            if position == end { return .more }
            let stop = byte(position)
            guard stop == Self.space, position > mark else {
                return fail(stop == Self.lineFeed ? .bareLineFeed : .invalidMethod, at: position)
            }
            head.methodStart = UInt32(truncatingIfNeeded: mark)
            head.methodCount = UInt32(truncatingIfNeeded: position &- mark)
            position &+= 1
            mark = position
            phase = .target
        }
        if phase == .target {
            position = ByteScan.endOfTarget(base, from: position, to: end)
            if position &- mark > limits.maximumTargetBytes {
                return fail(.targetTooLong, at: mark &+ limits.maximumTargetBytes)
            }
            if position == end { return .more }
            let stop = byte(position)
            guard stop == Self.space, position > mark else { return fail(target: stop) }
            head.targetStart = UInt32(truncatingIfNeeded: mark)
            head.targetCount = UInt32(truncatingIfNeeded: position &- mark)
            position &+= 1
            mark = position
            phase = .version
        }
        return version(&head.minorVersion)
    }

    /// One CRLF before the request line is ignored: some clients send it after a body.
    @inline(__always)
    private mutating func skipEmptyLine() -> Progress {
        guard position < end else { return .more }
        if byte(position) == Self.carriageReturn {
            let progress = lineEnd()
            if progress != .done { return progress }
        }
        mark = position
        phase = .method
        return .done
    }

    private mutating func fail(target stop: UInt8) -> Progress {
        switch stop {
        case Self.lineFeed: fail(.bareLineFeed, at: position)
        // A request of HTTP/0.9: method and target only.
        case Self.carriageReturn where position > mark: fail(.malformedVersion, at: position)
        default: fail(.invalidTarget, at: position)
        }
    }

    /// "HTTP/1.1" CRLF at `mark`; the usual one in two loads.
    @inline(__always)
    private mutating func version(_ minor: inout UInt8) -> Progress {
        if end &- mark >= 10 {
            let word = UInt64(
                littleEndian: base.loadUnaligned(fromByteOffset: mark, as: UInt64.self))
            let lineEnd = UInt16(
                littleEndian: base.loadUnaligned(fromByteOffset: mark &+ 8, as: UInt16.self))
            if word == 0x312E_312F_5054_5448, lineEnd == 0x0A0D {
                minor = 1
                position = mark &+ 10
                phase = .fieldStart
                return .done
            }
        }
        return slowVersion(&minor)
    }

    private mutating func slowVersion(_ minor: inout UInt8) -> Progress {
        let progress = versionNumber(&minor)
        if progress != .done { return progress }
        guard position < end else { return .more }
        let stop = byte(position)
        guard stop == Self.carriageReturn else {
            return fail(stop == Self.lineFeed ? .bareLineFeed : .malformedVersion, at: position)
        }
        let ended = lineEnd()
        if ended != .done { return ended }
        if byte(mark &+ 5) != UInt8(ascii: "1") { return fail(.unsupportedVersion, at: mark) }
        phase = .fieldStart
        return .done
    }

    /// "HTTP/" DIGIT "." DIGIT at `mark`; at most eight bytes, so from the start each time.
    private mutating func versionNumber(_ minor: inout UInt8) -> Progress {
        let template: StaticString = "HTTP/0.0"
        for index in 0..<8 {
            position = mark &+ index
            guard position < end else { return .more }
            let found = byte(position)
            let isGood =
                index == 5 || index == 7
                ? ByteScan.isDigit(found) : found == template.utf8Start[index]
            if !isGood {
                let isLineFeed = found == Self.lineFeed
                return fail(isLineFeed ? .bareLineFeed : .malformedVersion, at: position)
            }
        }
        // A later minor version is read as the latest that is known (RFC 9110 §2.5).
        minor = byte(position) == UInt8(ascii: "0") ? 0 : 1
        position &+= 1
        return .done
    }

    /// "HTTP/1.1 200 OK" CRLF. The space after the code may be missing when no reason follows:
    /// RFC 9112 §4 wants it, enough servers leave it out, and nothing is ambiguous without it.
    mutating func statusLine(_ head: inout ResponseHead) -> Progress {
        if phase == .start || phase == .statusLine {
            phase = .statusLine
            let progress = statusCode(&head)
            if progress != .done { return progress }
            mark = position
            phase = .reason
        }
        position = ByteScan.endOfValue(base, from: position, to: end)
        if position == end { return .more }
        let stop = byte(position)
        guard stop == Self.carriageReturn else {
            return fail(
                stop == Self.lineFeed ? .bareLineFeed : .malformedStatusLine, at: position)
        }
        let reasonEnd = position
        let ended = lineEnd()
        if ended != .done { return ended }
        head.reasonStart = UInt32(truncatingIfNeeded: mark)
        head.reasonCount = UInt32(truncatingIfNeeded: reasonEnd &- mark)
        phase = .fieldStart
        return .done
    }

    /// "HTTP/1.1 200" and the space after it; thirteen bytes, so from the start each time.
    private mutating func statusCode(_ head: inout ResponseHead) -> Progress {
        mark = 0
        let progress = versionNumber(&head.minorVersion)
        if progress != .done { return progress }
        if byte(5) != UInt8(ascii: "1") { return fail(.unsupportedVersion, at: 0) }
        var status = 0
        for index in 8..<12 {
            position = index
            guard position < end else { return .more }
            let found = byte(position)
            if index == 8 {
                guard found == Self.space else { return fail(.malformedStatusLine, at: index) }
                continue
            }
            guard ByteScan.isDigit(found) else { return fail(.malformedStatusLine, at: index) }
            status = status &* 10 &+ Int(found &- 0x30)
        }
        if status < 100 { return fail(.malformedStatusLine, at: 9) }
        head.status = status
        position = 12
        guard position < end else { return .more }
        switch byte(12) {
        case Self.space: position = 13
        case Self.carriageReturn: break
        case Self.lineFeed: return fail(.bareLineFeed, at: 12)
        default: return fail(.malformedStatusLine, at: 12)
        }
        return .done
    }

    // MARK: Field lines

    @inline(__always)
    mutating func fieldSection(
        _ lines: UnsafeMutablePointer<FieldLine>, _ maximumFieldCount: Int
    ) -> Progress {
        var nameStart = mark
        var nameEnd = mark
        var valueStart = position
        while true {
            switch phase {
            case .start, .method, .target, .version, .statusLine, .reason, .fieldStart:
                guard position < end else { return .more }
                let first = byte(position)
                if first == Self.carriageReturn { return lineEnd() }
                if first <= Self.space {
                    guard continuesFold(first) else { return fail(fieldStart: first) }
                    continue
                }
                if fieldCount == maximumFieldCount { return fail(.tooManyFields, at: position) }
                mark = position
                nameStart = position
                phase = .fieldName
                fallthrough
            case .fieldName:
                position = ByteScan.endOfToken(base, from: position, to: end)
                if position == end { return .more }
                let stop = byte(position)
                guard stop == UInt8(ascii: ":"), position > mark else {
                    return fail(fieldName: stop)
                }
                nameEnd = position
                position &+= 1
                phase = .valueStart
                fallthrough
            case .valueStart:
                while position < end, isBlank(byte(position)) { position &+= 1 }
                if position == end { return .more }
                valueStart = position
                phase = .value
                fallthrough
            case .value:
                position = ByteScan.endOfValue(base, from: position, to: end)
                if position == end { return .more }
                let stop = byte(position)
                guard stop == Self.carriageReturn else {
                    let isLineFeed = stop == Self.lineFeed
                    return fail(isLineFeed ? .bareLineFeed : .invalidFieldValue, at: position)
                }
                var valueEnd = position
                let ended = lineEnd()
                if ended != .done { return ended }
                while valueEnd > valueStart, isBlank(byte(valueEnd &- 1)) { valueEnd &-= 1 }
                lines[fieldCount] = FieldLine(
                    nameStart: nameStart, nameEnd: nameEnd,
                    valueStart: valueStart, valueEnd: valueEnd)
                fieldCount &+= 1
                phase = .fieldStart
            }
        }
    }

    @inline(__always)
    private func isBlank(_ byte: UInt8) -> Bool { byte == Self.space || byte == Self.tab }

    /// Goes on with the value of the line before, if there is one.
    private mutating func continuesFold(_ first: UInt8) -> Bool {
        guard allowsFolds, fieldCount > 0, isBlank(first) else { return false }
        hasFolds = true
        fieldCount &-= 1
        phase = .value
        return true
    }

    private mutating func fail(fieldStart first: UInt8) -> Progress {
        switch first {
        case Self.space, Self.tab: fail(.obsoleteLineFolding, at: position)
        case Self.lineFeed: fail(.bareLineFeed, at: position)
        default: fail(.invalidFieldName, at: position)
        }
    }

    private mutating func fail(fieldName stop: UInt8) -> Progress {
        switch stop {
        case Self.space, Self.tab: fail(.whitespaceBeforeColon, at: position)
        case Self.carriageReturn: fail(.missingColon, at: position)
        case Self.lineFeed: fail(.bareLineFeed, at: position)
        default: fail(.invalidFieldName, at: position)
        }
    }
}
