/// Where one field line lies inside its head; offsets in bytes from the head's first byte.
public struct FieldLine: Equatable, Sendable {
    /// Where the name begins.
    public var nameStart: UInt32
    /// Bytes of the name.
    public var nameCount: UInt32
    /// The value without the whitespace around it.
    public var valueStart: UInt32
    /// Bytes of the value.
    public var valueCount: UInt32

    @inlinable
    init(nameStart: Int, nameEnd: Int, valueStart: Int, valueEnd: Int) {
        self.nameStart = UInt32(truncatingIfNeeded: nameStart)
        nameCount = UInt32(truncatingIfNeeded: nameEnd &- nameStart)
        self.valueStart = UInt32(truncatingIfNeeded: valueStart)
        valueCount = UInt32(truncatingIfNeeded: valueEnd &- valueStart)
    }
}

/// What all connections of one loop share: the limits, and the scratch memory into which the head
/// under way and its field lines are written. They belong to the latest head that was parsed, until
/// the next call into any machine that uses this context.
public final class HTTPCodecContext {
    /// What peers are allowed.
    public let limits: HTTPLimits
    /// `limits.maximumFieldCount` lines.
    let lines: UnsafeMutablePointer<FieldLine>
    let requestSlot: UnsafeMutablePointer<RequestHead>
    let responseSlot: UnsafeMutablePointer<ResponseHead>
    /// The latest head or trailer section that had folded lines, with spaces in their place.
    private var unfolded: UnsafeMutableRawBufferPointer?
    /// Whether the latest trailer section is that one; a response head says so itself.
    var trailersAreUnfolded = false

    /// A context with a table for as many lines as the limits allow.
    ///
    /// Limits are the program's own: it stops on negative ones, on a head, target or field count
    /// of zero, and on heads or chunk extensions past 1 GiB (offsets have 32 bits).
    public init(limits: HTTPLimits = HTTPLimits()) {
        precondition(limits.maximumHeadBytes > 0, "a head needs at least one byte")
        precondition(
            limits.maximumHeadBytes <= HTTPLimits.largestHeadBytes, "heads are limited to 1 GiB")
        precondition(limits.maximumFieldCount > 0, "a head needs at least one field")
        precondition(limits.maximumTargetBytes > 0, "a request needs a target")
        precondition(
            limits.maximumChunkExtensionBytes <= HTTPLimits.largestHeadBytes,
            "chunk extensions are limited to 1 GiB")
        precondition(
            limits.maximumBodyBytes >= 0 && limits.maximumDrainBytes >= 0
                && limits.maximumChunkExtensionBytes >= 0, "limits cannot be negative")
        self.limits = limits
        lines = .allocate(capacity: limits.maximumFieldCount)
        requestSlot = .allocate(capacity: 1)
        requestSlot.initialize(to: RequestHead())
        responseSlot = .allocate(capacity: 1)
        responseSlot.initialize(to: ResponseHead())
    }

    deinit {
        lines.deallocate()
        requestSlot.deallocate()
        responseSlot.deallocate()
        unfolded?.deallocate()
    }

    /// A copy of the first `count` bytes in which each CRLF before a blank is two spaces: of the
    /// same length, so that offsets mean the same in both. Good until the next call.
    func unfold(_ bytes: UnsafeRawBufferPointer, count: Int) -> UnsafeRawBufferPointer {
        unfolded?.deallocate()
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
        unfolded = copy
        copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        var index = 2
        while index < count {
            if copy[index - 1] == 0x0A, copy[index] == 0x20 || copy[index] == 0x09 {
                copy[index - 2] = 0x20
                copy[index - 1] = 0x20
            }
            index += 1
        }
        return UnsafeRawBufferPointer(copy)
    }

    private func read(
        _ bytes: UnsafeRawBufferPointer, isUnfolded: Bool
    ) -> UnsafeRawBufferPointer {
        guard isUnfolded, let unfolded else { return bytes }
        return UnsafeRawBufferPointer(unfolded)
    }

    /// The request head that was parsed last.
    public var requestHead: RequestHead { requestSlot.pointee }

    /// The response head that was parsed last.
    public var responseHead: ResponseHead { responseSlot.pointee }

    /// The request that was parsed last, from `bytes`.
    @inline(__always)
    public func request(in bytes: UnsafeRawBufferPointer) -> RequestView {
        RequestView(
            head: UnsafePointer(requestSlot), bytes: bytes, lines: UnsafePointer(lines))
    }

    /// The response head that was parsed last, from `bytes`.
    public func response(in bytes: UnsafeRawBufferPointer) -> ResponseView {
        let head = responseSlot.pointee
        return ResponseView(
            head: head, bytes: read(bytes, isUnfolded: head.isUnfolded), context: self)
    }

    /// The fields of the trailer section just parsed from `bytes`.
    public func fields(in bytes: UnsafeRawBufferPointer, count: Int) -> FieldsView {
        let bytes = read(bytes, isUnfolded: trailersAreUnfolded)
        return FieldsView(bytes: bytes, lines: UnsafePointer(lines), count: count)
    }
}

@available(*, unavailable)
extension HTTPCodecContext: Sendable {}

/// Borrowed field lines: valid as long as the bytes and the table they point into.
public struct FieldsView {
    @usableFromInline let base: UnsafeRawPointer?
    @usableFromInline let lines: UnsafePointer<FieldLine>
    /// The number of field lines, in the order in which they came.
    public let count: Int

    /// The first `count` lines of a table, over the bytes from which they were parsed, from the
    /// head's first byte on. Neither is copied or checked against the other: both have to outlive
    /// the view, unchanged.
    public init(bytes: UnsafeRawBufferPointer, lines: UnsafePointer<FieldLine>, count: Int) {
        base = bytes.baseAddress
        self.lines = lines
        self.count = count
    }

    /// The name of line `index`, in the sender's spelling.
    @inlinable
    public func name(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < count, "no such field line")
        let line = lines[index]
        return UnsafeRawBufferPointer(
            start: base.map { $0 + Int(line.nameStart) }, count: Int(line.nameCount))
    }

    /// The value of line `index`, without the whitespace around it.
    @inlinable
    public func value(_ index: Int) -> UnsafeRawBufferPointer {
        precondition(index >= 0 && index < count, "no such field line")
        let line = lines[index]
        return UnsafeRawBufferPointer(
            start: base.map { $0 + Int(line.valueStart) }, count: Int(line.valueCount))
    }

    /// The value of the first line with this name, compared without case.
    public subscript(name: StaticString) -> UnsafeRawBufferPointer? {
        let wanted = UnsafeRawBufferPointer(
            start: name.utf8Start, count: name.utf8CodeUnitCount)
        return firstIndex(of: wanted).map(value)
    }

    /// The value of the first line with this name as text; invalid UTF-8 is repaired.
    public func string(_ name: String) -> String? {
        var name = name
        let index = name.withUTF8 { firstIndex(of: UnsafeRawBufferPointer($0)) }
        return index.map { String(decoding: value($0), as: UTF8.self) }
    }

    /// Copies the lines, for a view over a copy of the bytes.
    public func appendLines(to copy: inout [FieldLine]) {
        copy.append(contentsOf: UnsafeBufferPointer(start: lines, count: count))
    }

    /// The number of lines with this name, compared without case.
    public func occurrences(of name: StaticString) -> Int {
        let wanted = UnsafeRawBufferPointer(
            start: name.utf8Start, count: name.utf8CodeUnitCount)
        var found = 0
        for index in 0..<count where isNamed(index, wanted) { found += 1 }
        return found
    }

    private func firstIndex(of wanted: UnsafeRawBufferPointer) -> Int? {
        var index = 0
        while index < count {
            if isNamed(index, wanted) { return index }
            index &+= 1
        }
        return nil
    }

    @inline(__always)
    private func isNamed(_ index: Int, _ wanted: UnsafeRawBufferPointer) -> Bool {
        let line = lines[index]
        guard Int(line.nameCount) == wanted.count, let base, let other = wanted.baseAddress else {
            return false
        }
        return ByteScan.equalsIgnoringCase(
            base + Int(line.nameStart), other, count: wanted.count)
    }
}
