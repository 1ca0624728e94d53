/// In which unit the times of a recording are.
public enum CSVUnit: String, Sendable {
    /// Whole microseconds.
    case microseconds = "us"
    /// Milliseconds with three decimals, as keepalive-bench counts.
    case milliseconds = "ms"
}

/// Writes rows as CSV (RFC 4180) and as text into memory that the caller provides.
///
/// By hand, because there is a row for every request: some two hundred instructions instead of the
/// tens of thousands that strings take.
struct RowFormat {
    /// No row is longer, in bytes.
    static let longestRow = 1024
    /// Names of instances are cut after so many bytes.
    static let longestName = 256

    static let header = "time,client,status,instance,front port,back port,latency,event\n"

    private let start: UnsafeMutableRawPointer
    private var place: UnsafeMutableRawPointer
    private let unit: CSVUnit

    /// - Parameter memory: at least ``longestRow`` bytes.
    init(_ memory: UnsafeMutableRawPointer, unit: CSVUnit = .microseconds) {
        start = memory
        place = memory
        self.unit = unit
    }

    var count: Int { place - start }

    /// One row: times in the unit, nothing for what is not known.
    /// - Parameters:
    ///   - name: UTF-8.
    ///   - event: the number of the latest event; 0 for none.
    mutating func csv(_ row: RequestRecord, name: UnsafeRawBufferPointer?, event: Int) {
        time(row.nanoseconds)
        byte(UInt8(ascii: ","))
        decimal(UInt64(truncatingIfNeeded: row.client))
        byte(UInt8(ascii: ","))
        outcome(row.outcome)
        byte(UInt8(ascii: ","))
        if let name { quoted(name) }
        byte(UInt8(ascii: ","))
        if row.frontPort != 0 { decimal(UInt64(row.frontPort)) }
        byte(UInt8(ascii: ","))
        if row.backPort != 0 { decimal(UInt64(row.backPort)) }
        byte(UInt8(ascii: ","))
        time(row.latencyNanoseconds)
        byte(UInt8(ascii: ","))
        if event != 0 { decimal(UInt64(truncatingIfNeeded: event)) }
        byte(UInt8(ascii: "\n"))
    }

    /// One line: `2.031245 s client 3: 200 from b, front 41234, back 51802, 412 us`.
    mutating func text(_ row: RequestRecord, name: UnsafeRawBufferPointer?) {
        let time = microseconds(row.nanoseconds)
        decimal(time / 1_000_000)
        byte(UInt8(ascii: "."))
        fraction(time % 1_000_000, digits: 6)
        literal(" s client ")
        decimal(UInt64(truncatingIfNeeded: row.client))
        literal(": ")
        outcome(row.outcome)
        if let name {
            literal(" from ")
            printable(name)
        }
        if row.frontPort != 0 {
            literal(", front ")
            decimal(UInt64(row.frontPort))
        }
        if row.backPort != 0 {
            literal(", back ")
            decimal(UInt64(row.backPort))
        }
        literal(", ")
        decimal(microseconds(row.latencyNanoseconds))
        literal(" us\n")
    }

    @inline(__always)
    private mutating func time(_ nanoseconds: Int64) {
        let value = microseconds(nanoseconds)
        guard unit == .milliseconds else { return decimal(value) }
        decimal(value / 1000)
        byte(UInt8(ascii: "."))
        fraction(value % 1000, digits: 3)
    }

    private func microseconds(_ nanoseconds: Int64) -> UInt64 {
        UInt64(max(nanoseconds, 0)) / 1000
    }

    private mutating func outcome(_ outcome: RequestOutcome) {
        if outcome.isAnswered { return decimal(UInt64(outcome.code)) }
        for letter in outcome.description.utf8 { byte(letter) }  // words without comma or quote
    }

    /// A field in quotes where RFC 4180 §2.6 wants them.
    private mutating func quoted(_ name: UnsafeRawBufferPointer) {
        let name = cut(name)
        let needsQuotes = name.contains {
            $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 < 0x20
        }
        guard needsQuotes else {
            place.copyMemory(from: UnsafeRawBufferPointer(rebasing: name))
            return
        }
        byte(UInt8(ascii: "\""))
        for letter in name {
            if letter == UInt8(ascii: "\"") { byte(letter) }
            byte(letter)
        }
        byte(UInt8(ascii: "\""))
    }

    /// Too long a name without its end, but with its last letter whole.
    private func cut(_ name: UnsafeRawBufferPointer) -> Slice<UnsafeRawBufferPointer> {
        var end = min(name.count, Self.longestName)
        while end > 0, end < name.count, name[end] & 0xC0 == 0x80 { end -= 1 }
        return name[..<end]
    }

    /// A name as it may stand on a terminal.
    private mutating func printable(_ name: UnsafeRawBufferPointer) {
        for letter in cut(name) {
            byte(letter < 0x20 || letter == 0x7F ? UInt8(ascii: "?") : letter)
        }
    }

    @inline(__always)
    private mutating func byte(_ value: UInt8) {
        place.storeBytes(of: value, as: UInt8.self)
        place += 1
    }

    @inline(__always)
    private mutating func literal(_ text: StaticString) {
        place.copyMemory(from: text.utf8Start, byteCount: text.utf8CodeUnitCount)
        place += text.utf8CodeUnitCount
    }

    private mutating func fraction(_ value: UInt64, digits: Int) {
        var rest = value
        for position in stride(from: digits - 1, through: 0, by: -1) {
            place.storeBytes(
                of: 0x30 + UInt8(truncatingIfNeeded: rest % 10), toByteOffset: position,
                as: UInt8.self)
            rest /= 10
        }
        place += digits
    }

    @inline(__always)
    private mutating func decimal(_ value: UInt64) {
        var digits = 1
        var limit: UInt64 = 10
        while digits < 20, value >= limit {
            digits &+= 1
            limit = limit &* 10
            if digits == 20 { break }
        }
        var rest = value
        var position = digits &- 1
        while position >= 0 {
            let next = rest / 10
            place.storeBytes(
                of: 0x30 &+ UInt8(truncatingIfNeeded: rest &- next &* 10),
                toByteOffset: position, as: UInt8.self)
            rest = next
            position &-= 1
        }
        place += digits
    }
}

extension UnsafeMutableRawPointer {
    /// Copies the bytes here and moves on behind them.
    @inline(__always)
    fileprivate mutating func copyMemory(from bytes: UnsafeRawBufferPointer) {
        guard let base = bytes.baseAddress else { return }
        copyMemory(from: base, byteCount: bytes.count)
        self += bytes.count
    }
}
