/// Checks one value, however deep, over any split of its bytes, without building anything.
///
/// The grammar of RFC 8259 as a pushdown machine: a stack of one bit per open container, and the
/// place between tokens. Strings and numbers have scanners of their own.
///
///     place          byte          next place
///     value          { [ " - 0-9   firstKey, firstElement, string, number
///     value          t f n         literal
///     firstElement   ]             after the array; otherwise as value
///     firstKey       " or }        string (a key), after the object
///     key            "             string (a key)
///     colon          :             value
///     next           ,             value in an array, key in an object
///     next           ] }           after the container, if it is the right one
struct ValueScanner {
    private enum Place: UInt8 {
        case value, firstElement, firstKey, key, colon, next
        case string, number, literal, done
    }

    private var place = Place.value
    private var open = BitStack()
    private var string = StringScanner()
    private var stringIsKey = false
    private var number = NumberScanner()
    private var literal = Literal.null
    private var literalIndex = 0
    private let depthLimit: Int

    init(depthLimit: Int) { self.depthLimit = depthLimit }

    /// Scans `base[position..<end]`. `.ended` leaves `position` just after the value; a number is
    /// only known to have ended when a byte follows it or `finish` is called.
    mutating func scan(_ base: UnsafeRawPointer, _ position: inout Int, _ end: Int) -> ScanOutcome {
        while position < end {
            var outcome = ScanOutcome.ended
            switch place {
            case .done: return .ended
            case .string:
                outcome = string.scan(base, &position, end)
                if outcome == .ended { endString() }
            case .number:
                outcome = number.scan(base, &position, end)
                if outcome == .ended { endValue() }
            case .literal:
                outcome = scanLiteral(base, &position, end)
                if outcome == .ended { endValue() }
            default:
                let byte = base.load(fromByteOffset: position, as: UInt8.self)
                if isWhitespace(byte) {
                    position &+= 1
                } else if let fault = take(byte) {
                    return .failed(fault, offset: position)
                } else if place != .number {
                    position &+= 1  // a number is scanned from its first byte
                }
            }
            if outcome != .ended { return outcome }
        }
        return place == .done ? .ended : .more
    }

    /// The document ended: nil when the value is complete, otherwise what is missing.
    mutating func finish() -> Expectation? {
        if place == .number, number.isComplete { endValue() }
        switch place {
        case .done: return nil
        case .value: return .value
        case .firstElement: return .valueOrEnd
        case .firstKey: return .keyOrEnd
        case .key: return .key
        case .colon: return .colon
        case .next: return open.top ? .memberEnd : .elementEnd
        case .string: return string.pending
        case .number: return .digit
        case .literal: return literal.expectation
        }
    }

    /// Takes a byte between tokens; returns what was expected instead of it.
    @inline(__always)
    private mutating func take(_ byte: UInt8) -> Expectation? {
        switch place {
        case .next: return takeAfterValue(byte)
        case .colon:
            guard byte == UInt8(ascii: ":") else { return .colon }
            place = .value
        case .firstKey, .key:
            if byte == quote {
                startString(isKey: true)
            } else if byte == UInt8(ascii: "}"), place == .firstKey {
                endContainer()
            } else {
                return place == .key ? .key : .keyOrEnd
            }
        case .firstElement:
            if byte == UInt8(ascii: "]") {
                endContainer()
            } else if let fault = takeValueStart(byte) {
                return fault == .value ? .valueOrEnd : fault
            }
        default: return takeValueStart(byte)
        }
        return nil
    }

    @inline(__always)
    private mutating func takeAfterValue(_ byte: UInt8) -> Expectation? {
        let isObject = open.top
        if byte == UInt8(ascii: ",") {
            place = isObject ? .key : .value
        } else if byte == (isObject ? UInt8(ascii: "}") : UInt8(ascii: "]")) {
            endContainer()
        } else {
            return isObject ? .memberEnd : .elementEnd
        }
        return nil
    }

    @inline(__always)
    private mutating func takeValueStart(_ byte: UInt8) -> Expectation? {
        switch byte {
        case quote: startString(isKey: false)
        case UInt8(ascii: "{"), UInt8(ascii: "["):
            guard open.count < depthLimit else { return .lessDepth }
            open.push(byte == UInt8(ascii: "{"))
            place = byte == UInt8(ascii: "{") ? .firstKey : .firstElement
        case UInt8(ascii: "-"), 0x30...0x39:
            number = NumberScanner()
            place = .number
        default:
            guard let literal = Literal(firstByte: byte) else { return .value }
            self.literal = literal
            literalIndex = 1
            place = .literal
        }
        return nil
    }

    private mutating func scanLiteral(
        _ base: UnsafeRawPointer, _ position: inout Int, _ end: Int
    ) -> ScanOutcome {
        literal.scan(&literalIndex, base, &position, end)
    }

    @inline(__always)
    private mutating func startString(isKey: Bool) {
        string = StringScanner()
        stringIsKey = isKey
        place = .string
    }

    @inline(__always)
    private mutating func endString() {
        if stringIsKey { place = .colon } else { endValue() }
    }

    @inline(__always)
    private mutating func endContainer() {
        open.pop()
        endValue()
    }

    @inline(__always)
    private mutating func endValue() {
        place = open.count == 0 ? .done : .next
    }
}

/// The three words of the grammar.
enum Literal: UInt8 {
    case null, `true`, `false`

    init?(firstByte: UInt8) {
        switch firstByte {
        case UInt8(ascii: "n"): self = .null
        case UInt8(ascii: "t"): self = .true
        case UInt8(ascii: "f"): self = .false
        default: return nil
        }
    }

    private var word: StaticString {
        switch self {
        case .null: "null"
        case .true: "true"
        case .false: "false"
        }
    }

    var expectation: Expectation {
        switch self {
        case .null: .literalNull
        case .true: .literalTrue
        case .false: .literalFalse
        }
    }

    /// Compares from the byte `index` of the word on.
    func scan(
        _ index: inout Int, _ base: UnsafeRawPointer, _ position: inout Int, _ end: Int
    ) -> ScanOutcome {
        let word = self.word
        while index < word.utf8CodeUnitCount {
            guard position < end else { return .more }
            guard base.load(fromByteOffset: position, as: UInt8.self) == word.utf8Start[index]
            else { return .failed(expectation, offset: position) }
            index &+= 1
            position &+= 1
        }
        return .ended
    }
}

/// A stack of bits; the first 64 need no memory of their own.
struct BitStack {
    private var low: UInt64 = 0
    private var spilled: [UInt64] = []
    private(set) var count = 0

    /// The newest bit; false when there is none.
    @inline(__always)
    var top: Bool { low & 1 != 0 }

    @inline(__always)
    mutating func push(_ bit: Bool) {
        if count != 0, count & 63 == 0 { spilled.append(low) }
        low = low &<< 1 | (bit ? 1 : 0)
        count &+= 1
    }

    @inline(__always)
    mutating func pop() {
        guard count > 0 else { return }
        count &-= 1
        low &>>= 1
        if count != 0, count & 63 == 0, let word = spilled.popLast() { low = word }
    }
}
