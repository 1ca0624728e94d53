/// Writes heads and chunks into a byte buffer that is kept between messages.
///
/// Names and values that could end a line are refused (RFC 9112 §11.1, response splitting): what
/// a handler passes on from a peer cannot become a second message.
public struct HeadWriter: Sendable {
    /// What has been written so far.
    public private(set) var bytes: [UInt8] = []

    public init() {}

    public init(reserving capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Forgets what was written and keeps the memory.
    public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    // MARK: Start lines

    /// "HTTP/1.1 200 OK" with the phrase of RFC 9110 §15; empty for statuses not listed there.
    public mutating func startResponse(status: Int) {
        if status == 200 { return append("HTTP/1.1 200 OK\r\n") }
        // Three digits whatever is asked for: the status line has no room for more.
        let status = min(max(status, 100), 999)
        append("HTTP/1.1 ")
        append(decimal: Int64(status))
        append(" ")
        append(StatusPhrase.of(status))
        append("\r\n")
    }

    /// "GET /path HTTP/1.1". Throws `invalidMethod` or `invalidTarget` for what cannot be sent.
    public mutating func startRequest(
        method: String, target: String
    ) throws(HTTPCodecError) {
        guard Self.isToken(method) else { throw refused(.invalidMethod) }
        guard Self.isTarget(target) else { throw refused(.invalidTarget) }
        bytes.append(contentsOf: method.utf8)
        append(" ")
        bytes.append(contentsOf: target.utf8)
        append(" HTTP/1.1\r\n")
    }

    // MARK: Fields

    /// One field line. Throws `invalidFieldName` or `invalidFieldValue`, and writes nothing then.
    public mutating func field(_ name: String, _ value: String) throws(HTTPCodecError) {
        guard Self.isToken(name) else { throw refused(.invalidFieldName) }
        guard Self.isValue(value) else { throw refused(.invalidFieldValue) }
        bytes.append(contentsOf: name.utf8)
        append(": ")
        bytes.append(contentsOf: value.utf8)
        append("\r\n")
    }

    /// As above with a value in bytes.
    public mutating func field(
        literal name: StaticString, _ value: UnsafeRawBufferPointer
    ) throws(HTTPCodecError) {
        guard Self.isValue(value) else { throw refused(.invalidFieldValue) }
        append(name)
        append(": ")
        bytes.append(contentsOf: value)
        append("\r\n")
    }

    /// A field line that is part of the program's text and therefore trusted.
    public mutating func field(literal name: StaticString, _ value: StaticString) {
        append(name)
        append(": ")
        append(value)
        append("\r\n")
    }

    public mutating func field(literal name: StaticString, _ value: Int64) {
        append(name)
        append(": ")
        append(decimal: value)
        append("\r\n")
    }

    /// The fields that a plan calls for.
    public mutating func fields(of plan: ResponsePlan) {
        switch plan.framing {
        case .noContent, .untilClose: break
        case .length(let length):
            append("Content-Length: ")
            append(decimal: length)
            append("\r\n")
        case .chunked: append("Transfer-Encoding: chunked\r\n")
        }
        switch plan.connection {
        case .omitted: break
        case .close: append("Connection: close\r\n")
        case .keepAlive: append("Connection: keep-alive\r\n")
        }
    }

    /// The empty line after the fields.
    public mutating func endHead() { append("\r\n") }

    /// The whole interim response that lets a client send its content (RFC 9110 §15.2.1).
    public mutating func continueResponse() { append("HTTP/1.1 100 Continue\r\n\r\n") }

    // MARK: Content

    /// Content as it is.
    public mutating func content(_ content: UnsafeRawBufferPointer) {
        bytes.append(contentsOf: content)
    }

    /// One chunk (RFC 9112 §7.1). An empty one is not written: it would end the content.
    public mutating func chunk(_ content: UnsafeRawBufferPointer) {
        if content.isEmpty { return }
        chunkHead(count: content.count)
        bytes.append(contentsOf: content)
        append("\r\n")
    }

    /// The line before a chunk of `count` bytes whose content and CRLF are written elsewhere.
    public mutating func chunkHead(count: Int) {
        var shift = (Int.bitWidth - max(count, 1).leadingZeroBitCount - 1) & ~3
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: (count >> shift) & 0xF)
            bytes.append(digit < 10 ? 0x30 + digit : 0x57 + digit)
            shift -= 4
        }
        append("\r\n")
    }

    /// The last chunk and an empty trailer section.
    public mutating func lastChunk() { append("0\r\n\r\n") }

    // MARK: Checks

    /// Whether `name` can be a field name or a method.
    public static func isToken(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy(ByteScan.isToken)
    }

    /// Whether `value` can be a field value: no control bytes but HTAB.
    public static func isValue(_ value: String) -> Bool {
        var value = value
        return value.withUTF8 { isValue(UnsafeRawBufferPointer($0)) }
    }

    public static func isValue(_ value: UnsafeRawBufferPointer) -> Bool {
        guard let base = value.baseAddress else { return true }
        return ByteScan.endOfValue(base, from: 0, to: value.count) == value.count
    }

    /// Whether `target` can stand in a request line: printing ASCII without "#".
    public static func isTarget(_ target: String) -> Bool {
        var target = target
        return target.withUTF8 { text in
            guard let base = text.baseAddress, text.count > 0 else { return false }
            let end = text.count
            return ByteScan.endOfTarget(UnsafeRawPointer(base), from: 0, to: end) == end
        }
    }

    private func refused(_ reason: HTTPCodecError.Reason) -> HTTPCodecError {
        HTTPCodecError(reason, offset: bytes.count, statusHint: 500)
    }

    // MARK: Bytes

    @inline(__always)
    private mutating func append(_ text: StaticString) {
        bytes.append(
            contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    private mutating func append(decimal value: Int64) {
        if value >= 0, value < 10 {
            bytes.append(0x30 + UInt8(truncatingIfNeeded: value))
            return
        }
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
            var index = 20
            var rest = value.magnitude
            repeat {
                index -= 1
                digits[index] = 0x30 + UInt8(truncatingIfNeeded: rest % 10)
                rest /= 10
            } while rest > 0
            if value < 0 { bytes.append(UInt8(ascii: "-")) }
            bytes.append(contentsOf: UnsafeBufferPointer(rebasing: digits[index...]))
        }
    }
}
