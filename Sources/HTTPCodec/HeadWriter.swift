/// Writes heads and chunks into memory that is kept between messages.
///
/// Names and values that could end a line are refused (RFC 9112 §11.1, response splitting): what
/// a handler passes on from a peer cannot become a second message.
///
/// A class with memory of its own: appending a short piece to an array behind a class property
/// costs several times as many instructions as copying it.
public final class HeadWriter {
    private struct State {
        var memory: UnsafeMutableRawPointer
        var capacity: Int
        var count = 0
    }

    /// Behind a pointer, because every access to a property of a class is checked at run time.
    private let state: UnsafeMutablePointer<State>

    /// An empty writer with room for so many bytes; it grows when it has to.
    public init(reserving capacity: Int = 512) {
        let capacity = max(capacity, 64)
        state = .allocate(capacity: 1)
        state.initialize(
            to: State(
                memory: .allocate(byteCount: capacity, alignment: 16), capacity: capacity))
    }

    deinit {
        state.pointee.memory.deallocate()
        state.deallocate()
    }

    /// How many bytes have been written.
    public var count: Int { state.pointee.count }

    /// What has been written so far; valid until the next call that changes it.
    public var bytes: UnsafeRawBufferPointer {
        UnsafeRawBufferPointer(start: state.pointee.memory, count: state.pointee.count)
    }

    /// A copy of what has been written so far.
    public var array: [UInt8] { [UInt8](bytes) }

    /// Forgets what was written and keeps the memory.
    public func removeAll() { state.pointee.count = 0 }

    /// Takes back what was written after the first `count` bytes.
    public func truncate(to count: Int) {
        if count < self.count { state.pointee.count = max(count, 0) }
    }

    // MARK: Start lines

    /// "HTTP/1.1 200 OK" with the phrase of RFC 9110 §15; empty for statuses not listed there.
    public func startResponse(status: Int) {
        if status == 200 { return append(literal: "HTTP/1.1 200 OK\r\n") }
        // Three digits whatever is asked for: the status line has no room for more.
        let status = min(max(status, 100), 999)
        append(literal: "HTTP/1.1 ")
        append(decimal: Int64(status))
        append(literal: " ")
        append(literal: StatusPhrase.of(status))
        appendLineEnd()
    }

    /// "GET /path HTTP/1.1". Throws `invalidMethod` or `invalidTarget` for what cannot be sent.
    public func startRequest(
        method: String, target: String
    ) throws(HTTPCodecError) {
        guard Self.isToken(method) else { throw refused(.invalidMethod) }
        guard Self.isTarget(target) else { throw refused(.invalidTarget) }
        append(method)
        append(literal: " ")
        append(target)
        append(literal: " HTTP/1.1\r\n")
    }

    // MARK: Fields

    /// One field line. Throws `invalidFieldName` or `invalidFieldValue`, and writes nothing then.
    public func field(_ name: String, _ value: String) throws(HTTPCodecError) {
        guard Self.isToken(name) else { throw refused(.invalidFieldName) }
        guard Self.isValue(value) else { throw refused(.invalidFieldValue) }
        append(name)
        append(literal: ": ")
        append(value)
        appendLineEnd()
    }

    /// As above with a value in bytes.
    public func field(
        literal name: StaticString, _ value: UnsafeRawBufferPointer
    ) throws(HTTPCodecError) {
        guard Self.isValue(value) else { throw refused(.invalidFieldValue) }
        append(literal: name)
        append(literal: ": ")
        append(bytes: value)
        appendLineEnd()
    }

    /// A field line that is part of the program's text and therefore trusted.
    public func field(literal name: StaticString, _ value: StaticString) {
        let (nameSize, valueSize) = (name.utf8CodeUnitCount, value.utf8CodeUnitCount)
        let place = room(for: nameSize + valueSize + 4)
        place.copyMemory(from: name.utf8Start, byteCount: nameSize)
        (place + nameSize).storeBytes(of: UInt16(0x203A).littleEndian, as: UInt16.self)
        (place + nameSize + 2).copyMemory(from: value.utf8Start, byteCount: valueSize)
        (place + nameSize + 2 + valueSize).storeBytes(
            of: UInt16(0x0A0D).littleEndian, as: UInt16.self)
        state.pointee.count &+= nameSize + valueSize + 4
    }

    /// A field line with a number in decimal. The name is the program's own and not checked.
    public func field(literal name: StaticString, _ value: Int64) {
        append(literal: name)
        append(literal: ": ")
        append(decimal: value)
        appendLineEnd()
    }

    /// The fields that a plan calls for.
    public func fields(of plan: ResponsePlan) {
        switch plan.framing {
        case .noContent, .untilClose: break
        case .length(let length):
            append(literal: "Content-Length: ")
            append(decimal: length)
            appendLineEnd()
        case .chunked: append(literal: "Transfer-Encoding: chunked\r\n")
        }
        switch plan.connection {
        case .omitted: break
        case .close: append(literal: "Connection: close\r\n")
        case .keepAlive: append(literal: "Connection: keep-alive\r\n")
        }
    }

    /// The empty line after the fields.
    public func endHead() { appendLineEnd() }

    /// The whole interim response that lets a client send its content (RFC 9110 §15.2.1).
    public func continueResponse() { append(literal: "HTTP/1.1 100 Continue\r\n\r\n") }

    // MARK: Content

    /// Content as it is.
    public func content(_ content: UnsafeRawBufferPointer) {
        append(bytes: content)
    }

    /// One chunk (RFC 9112 §7.1). An empty one is not written: it would end the content.
    public func chunk(_ content: UnsafeRawBufferPointer) {
        if content.isEmpty { return }
        chunkHead(count: content.count)
        append(bytes: content)
        appendLineEnd()
    }

    /// The line before a chunk of `count` bytes whose content and CRLF are written elsewhere.
    public func chunkHead(count: Int) {
        var shift = (Int.bitWidth - max(count, 1).leadingZeroBitCount - 1) & ~3
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: (count >> shift) & 0xF)
            append(byte: digit < 10 ? 0x30 + digit : 0x57 + digit)
            shift -= 4
        }
        appendLineEnd()
    }

    /// The CRLF after the content that `chunkHead` announced.
    public func chunkEnd() { appendLineEnd() }

    /// The last chunk and an empty trailer section.
    public func lastChunk() { append(literal: "0\r\n\r\n") }

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

    /// As above, for a value in bytes.
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
        HTTPCodecError(reason, offset: count, statusHint: 500)
    }

    // MARK: Bytes

    /// Makes room for `more` bytes and returns where they go.
    @inline(__always)
    private func room(for more: Int) -> UnsafeMutableRawPointer {
        if more > state.pointee.capacity &- state.pointee.count { grow(by: more) }
        return state.pointee.memory + state.pointee.count
    }

    private func grow(by more: Int) {
        let wanted = max(state.pointee.capacity * 2, count + more)
        let larger = UnsafeMutableRawPointer.allocate(byteCount: wanted, alignment: 16)
        larger.copyMemory(from: state.pointee.memory, byteCount: count)
        state.pointee.memory.deallocate()
        state.pointee.memory = larger
        state.pointee.capacity = wanted
    }

    @inline(__always)
    private func append(literal text: StaticString) {
        let size = text.utf8CodeUnitCount
        room(for: size).copyMemory(from: text.utf8Start, byteCount: size)
        state.pointee.count &+= size
    }

    @inline(__always)
    private func appendLineEnd() {
        room(for: 2).storeBytes(of: UInt16(0x0A0D).littleEndian, as: UInt16.self)
        state.pointee.count &+= 2
    }

    private func append(_ text: String) {
        var text = text
        text.withUTF8 { append(bytes: UnsafeRawBufferPointer($0)) }
    }

    @inline(__always)
    private func append(bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        room(for: bytes.count).copyMemory(from: base, byteCount: bytes.count)
        state.pointee.count &+= bytes.count
    }

    @inline(__always)
    private func append(byte: UInt8) {
        room(for: 1).storeBytes(of: byte, as: UInt8.self)
        state.pointee.count &+= 1
    }

    private func append(decimal value: Int64) {
        var rest = value.magnitude
        if rest < 100, value >= 0 {
            if rest >= 10 { append(byte: 0x30 + UInt8(truncatingIfNeeded: rest / 10)) }
            return append(byte: 0x30 + UInt8(truncatingIfNeeded: rest % 10))
        }
        var digits = 1
        var limit: UInt64 = 10
        while rest >= limit {
            digits += 1
            if digits == 20 { break }  // 10^20 does not fit, and no number is that long
            limit *= 10
        }
        if value < 0 { append(byte: UInt8(ascii: "-")) }
        let place = room(for: digits)
        state.pointee.count &+= digits
        while digits > 0 {
            digits -= 1
            place.storeBytes(
                of: 0x30 + UInt8(truncatingIfNeeded: rest % 10), toByteOffset: digits,
                as: UInt8.self)
            rest /= 10
        }
    }
}

@available(*, unavailable)
extension HeadWriter: Sendable {}
