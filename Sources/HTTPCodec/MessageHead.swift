/// How the content of a message is delimited (RFC 9112 §6).
public enum BodyFraming: Equatable, Sendable {
    /// No content follows the head.
    case none
    /// Exactly this many bytes follow; never zero (that is `none`).
    case contentLength(Int64)
    case chunked
    /// Content ends with the connection; responses only.
    case untilClose
}

/// The methods that RFC 9110 §9 and RFC 5789 define; any other token is `other`.
public enum RequestMethod: UInt8, Equatable, Sendable {
    case get, head, post, put, delete, connect, options, trace, patch, other
}

/// The four forms of a request target (RFC 9112 §3.2).
public enum TargetForm: UInt8, Equatable, Sendable {
    case origin, absolute, authority, asterisk
}

/// A request head as offsets into the bytes it was parsed from; owns no memory.
public struct RequestHead: Equatable, Sendable {
    /// The method by name, or `other`; its bytes are in `methodStart`, `methodCount`.
    public internal(set) var method = RequestMethod.other
    /// Which form the target has.
    public internal(set) var targetForm = TargetForm.origin
    /// 0 for HTTP/1.0, 1 for HTTP/1.1 and any later minor version.
    public internal(set) var minorVersion: UInt8 = 1
    /// Whether the connection may serve another request after this one (RFC 9112 §9.3).
    public internal(set) var keepsAlive = true
    /// Whether the client waits for 100 (Continue) before it sends the content.
    public internal(set) var expectsContinue = false
    /// How the content that follows is delimited.
    public internal(set) var framing = BodyFraming.none

    /// Where the method begins.
    public internal(set) var methodStart: UInt32 = 0
    /// Bytes of the method.
    public internal(set) var methodCount: UInt32 = 0
    /// Where the target begins.
    public internal(set) var targetStart: UInt32 = 0
    /// Bytes of the target.
    public internal(set) var targetCount: UInt32 = 0
    /// Bytes of the head, the empty line at its end included.
    public internal(set) var byteCount: UInt32 = 0
    /// Field lines in the context's table.
    public internal(set) var fieldCount: UInt32 = 0

    init() {}
}

/// A response head as offsets into the bytes it was parsed from; owns no memory.
public struct ResponseHead: Equatable, Sendable {
    /// Three digits: 100 to 999. Treat a class you do not know like x00 of it (RFC 9110 §15).
    public internal(set) var status = 0
    /// 0 for HTTP/1.0, 1 for HTTP/1.1 and any later minor version.
    public internal(set) var minorVersion: UInt8 = 1
    /// Whether the server keeps the connection open after this response.
    public internal(set) var keepsAlive = true
    /// How the content that follows is delimited.
    public internal(set) var framing = BodyFraming.none
    /// Content-Length as sent, also where it does not frame anything (HEAD, 304).
    public internal(set) var declaredLength: Int64?

    /// Its lines were folded: its offsets are those of the context's unfolded copy.
    var isUnfolded = false

    /// Where the reason phrase begins.
    public internal(set) var reasonStart: UInt32 = 0
    /// Bytes of the reason phrase.
    public internal(set) var reasonCount: UInt32 = 0
    /// Bytes of the head, the empty line at its end included.
    public internal(set) var byteCount: UInt32 = 0
    /// Field lines in the context's table.
    public internal(set) var fieldCount: UInt32 = 0

    init() {}

    /// 1xx: another response follows.
    public var isInformational: Bool { status < 200 }
}

/// A borrowed request: valid only during the call that hands it over.
public struct RequestView {
    private let place: UnsafePointer<RequestHead>
    private let lines: UnsafePointer<FieldLine>
    private let base: UnsafeRawPointer?

    /// `bytes` are the ones from which `head` was parsed, from the head's first byte on. What the
    /// view points into has to outlive it.
    @inline(__always)
    public init(
        head: UnsafePointer<RequestHead>, bytes: UnsafeRawBufferPointer,
        lines: UnsafePointer<FieldLine>
    ) {
        place = head
        self.lines = lines
        base = bytes.baseAddress
    }

    /// A copy of the head, which may be kept; its offsets mean nothing without the bytes.
    public var head: RequestHead { place.pointee }

    /// Its field lines, borrowed like the view.
    public var fields: FieldsView {
        FieldsView(
            bytes: UnsafeRawBufferPointer(start: base, count: Int(head.byteCount)),
            lines: lines, count: Int(head.fieldCount))
    }

    /// The method by name, or `other`.
    public var method: RequestMethod { head.method }

    /// The method as it was sent: compares with case (RFC 9110 §9.1). Borrowed like the view.
    public var methodBytes: UnsafeRawBufferPointer {
        slice(Int(head.methodStart), Int(head.methodCount))
    }

    /// The target as it was sent.
    public var targetBytes: UnsafeRawBufferPointer {
        slice(Int(head.targetStart), Int(head.targetCount))
    }

    /// The path, still percent-encoded and without the query; "/" where an absolute target has
    /// none, "*" for the asterisk form.
    public var pathBytes: UnsafeRawBufferPointer {
        let target = targetBytes
        var start = 0
        if head.targetForm == .absolute {
            start = Self.endOfAuthority(target)
            if start == target.count || target[start] == UInt8(ascii: "?") {
                let slash: StaticString = "/"
                return UnsafeRawBufferPointer(start: slash.utf8Start, count: 1)
            }
        }
        var end = start
        while end < target.count, target[end] != UInt8(ascii: "?") { end &+= 1 }
        return UnsafeRawBufferPointer(rebasing: target[start..<end])
    }

    /// What follows the first "?", or nil where there is none.
    public var queryBytes: UnsafeRawBufferPointer? {
        let target = targetBytes
        guard let mark = target.firstIndex(of: UInt8(ascii: "?")) else { return nil }
        return UnsafeRawBufferPointer(rebasing: target[(mark + 1)...])
    }

    /// Host and port that the request is for: the target's own in absolute form (RFC 9112
    /// §3.2.2), else the Host field; empty when neither says.
    public var authorityBytes: UnsafeRawBufferPointer {
        let target = targetBytes
        switch head.targetForm {
        case .authority: return target
        case .absolute:
            let start = Self.startOfAuthority(target)
            return UnsafeRawBufferPointer(rebasing: target[start..<Self.endOfAuthority(target)])
        case .origin, .asterisk:
            return fields["host"] ?? UnsafeRawBufferPointer(start: nil, count: 0)
        }
    }

    /// The method as text.
    public var methodString: String { String(decoding: methodBytes, as: UTF8.self) }
    /// The target as text.
    public var target: String { String(decoding: targetBytes, as: UTF8.self) }
    /// The path as text, percent-encoded.
    public var path: String { String(decoding: pathBytes, as: UTF8.self) }
    /// The query as text, percent-encoded.
    public var query: String? { queryBytes.map { String(decoding: $0, as: UTF8.self) } }
    /// Host and port as text.
    public var authority: String { String(decoding: authorityBytes, as: UTF8.self) }

    private func slice(_ start: Int, _ count: Int) -> UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: base.map { $0 + start }, count: count)
    }

    /// Just after "http://"; the parser has checked that it is there.
    private static func startOfAuthority(_ target: UnsafeRawBufferPointer) -> Int {
        guard let colon = target.firstIndex(of: UInt8(ascii: ":")) else { return 0 }
        return min(colon + 3, target.count)
    }

    private static func endOfAuthority(_ target: UnsafeRawBufferPointer) -> Int {
        var index = startOfAuthority(target)
        while index < target.count, target[index] != UInt8(ascii: "/"),
            target[index] != UInt8(ascii: "?")
        {
            index &+= 1
        }
        return index
    }
}

/// A borrowed response head: valid only during the call that hands it over.
public struct ResponseView {
    /// The head, which may be kept; its offsets mean nothing without the bytes.
    public let head: ResponseHead
    /// Its field lines, borrowed like the view.
    public let fields: FieldsView
    private let bytes: UnsafeRawBufferPointer

    /// `bytes` are the ones from which `head` was parsed, from its first byte on. They have to
    /// outlive the view; the lines are `context`'s, good until the next head that it parses.
    public init(head: ResponseHead, bytes: UnsafeRawBufferPointer, context: HTTPCodecContext) {
        self.head = head
        self.bytes = bytes
        fields = FieldsView(
            bytes: bytes, lines: UnsafePointer(context.lines), count: Int(head.fieldCount))
    }

    /// The three digits.
    public var status: Int { head.status }

    /// The bytes of the head, of which the lines of ``fields`` are parts: those that came, but with
    /// spaces where lines were folded (RFC 9112 §5.2).
    public var headBytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(rebasing: bytes[..<Int(head.byteCount)])
    }

    /// The reason phrase; means nothing to a program (RFC 9112 §4).
    public var reasonBytes: UnsafeRawBufferPointer {
        let start = Int(head.reasonStart)
        return UnsafeRawBufferPointer(rebasing: bytes[start..<(start + Int(head.reasonCount))])
    }
}
