/// What the fields of one head say about the connection and the framing (RFC 9112 §6, §9;
/// RFC 9110 §7.6.1, §8.6, §10.1.1). Reads only the five names that matter, told by their length.
struct FieldAnalysis {
    /// `empty`: the field is there, and names no coding.
    enum Coding { case none, empty, chunked, unknown, malformed }

    var contentLength: Int64?
    var coding = Coding.none
    /// Where the Transfer-Encoding value begins, for error messages.
    var codingOffset = 0
    var closes = false
    var keepsAlive = false
    var host: FieldLine?
    var expectsContinue = false
    var expectsOther = false
    /// The first thing that no message may do.
    var failure: (reason: HTTPCodecError.Reason, offset: Int)?

    /// Host means something in requests only.
    let readsHost: Bool

    init(readsHost: Bool) { self.readsHost = readsHost }

    @inline(__always)
    mutating func run(_ base: UnsafeRawPointer, _ lines: UnsafePointer<FieldLine>, _ count: Int) {
        var index = 0
        while index < count {
            let line = lines[index]
            index &+= 1
            let name = base + Int(line.nameStart)
            switch line.nameCount {
            case 4 where ByteScan.matches(name, count: 4, "host"):
                readHost(line)
            case 6 where ByteScan.matches(name, count: 6, "expect"):
                readExpect(base, line)
            case 10 where ByteScan.matches(name, count: 10, "connection"):
                readConnection(base, line)
            case 14 where ByteScan.matches(name, count: 14, "content-length"):
                readContentLength(base, line)
            case 17 where ByteScan.matches(name, count: 17, "transfer-encoding"):
                readCoding(base, line)
            default:
                continue
            }
        }
    }

    @inline(__always)
    private mutating func fail(_ reason: HTTPCodecError.Reason, _ offset: Int) {
        if failure == nil { failure = (reason, offset) }
    }

    @inline(__always)
    private mutating func readHost(_ line: FieldLine) {
        guard readsHost else { return }
        if host != nil { fail(.duplicateHost, Int(line.nameStart)) }
        host = line
    }

    private mutating func readExpect(_ base: UnsafeRawPointer, _ line: FieldLine) {
        let value = base + Int(line.valueStart)
        if ByteScan.matches(value, count: Int(line.valueCount), "100-continue") {
            expectsContinue = true
        } else {
            expectsOther = true
        }
    }

    /// A list of options of which two mean something to us; the others belong to proxies.
    private mutating func readConnection(_ base: UnsafeRawPointer, _ line: FieldLine) {
        Self.forEachElement(base, line) { element, count in
            if ByteScan.matches(element, count: count, "close") { closes = true }
            if ByteScan.matches(element, count: count, "keep-alive") { keepsAlive = true }
        }
    }

    /// 1*DIGIT below 2^63. Several lines are taken if they agree (RFC 9110 §8.6); a list is not,
    /// because intermediaries disagree about it.
    private mutating func readContentLength(_ base: UnsafeRawPointer, _ line: FieldLine) {
        let start = Int(line.valueStart)
        let end = start + Int(line.valueCount)
        guard start < end else { return fail(.malformedContentLength, start) }
        var length: Int64 = 0
        for index in start..<end {
            let byte = base.load(fromByteOffset: index, as: UInt8.self)
            guard ByteScan.isDigit(byte) else { return fail(.malformedContentLength, index) }
            let (tens, overflow) = length.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int64(byte &- 0x30))
            if overflow || carry { return fail(.malformedContentLength, index) }
            length = sum
        }
        if let contentLength, contentLength != length {
            return fail(.conflictingContentLength, start)
        }
        contentLength = length
    }

    /// Only "chunked", once and last, is known. An unknown coding in front of it is told apart
    /// (501), everything else about the list is malformed (400). Empty elements are ignored
    /// (RFC 9110 §5.6.1.2), but a list of nothing else says nothing about the framing.
    private mutating func readCoding(_ base: UnsafeRawPointer, _ line: FieldLine) {
        if coding == .none {
            codingOffset = Int(line.valueStart)
            coding = .empty
        }
        Self.forEachElement(base, line) { element, count in
            let isChunked = ByteScan.matches(element, count: count, "chunked")
            if count == 0 { return }
            if coding == .malformed || coding == .chunked {
                coding = .malformed  // something after chunked, which has to be the last
            } else if isChunked {
                coding = coding == .empty ? .chunked : .unknown
            } else if count > 7, ByteScan.matches(element, count: 7, "chunked"),
                !ByteScan.isToken(element.load(fromByteOffset: 7, as: UInt8.self))
            {
                coding = .malformed  // chunked takes no parameters (RFC 9112 §7)
            } else {
                coding = .unknown
            }
        }
    }

    /// Splits a value at its commas and trims each element.
    @inline(__always)
    private static func forEachElement(
        _ base: UnsafeRawPointer, _ line: FieldLine,
        _ body: (_ element: UnsafeRawPointer, _ count: Int) -> Void
    ) {
        func byte(_ index: Int) -> UInt8 { base.load(fromByteOffset: index, as: UInt8.self) }
        func isBlank(_ index: Int) -> Bool { byte(index) == 0x20 || byte(index) == 0x09 }
        let end = Int(line.valueStart) + Int(line.valueCount)
        var start = Int(line.valueStart)
        while start <= end {
            var stop = start
            while stop < end, byte(stop) != UInt8(ascii: ",") { stop &+= 1 }
            var first = start
            var last = stop
            while first < last, isBlank(first) { first &+= 1 }
            while last > first, isBlank(last &- 1) { last &-= 1 }
            body(base + first, last &- first)
            start = stop &+ 1
        }
    }
}
