/// Gives pods numbers by the names that their answers bear, without allocating for known ones.
struct PodNames: Sendable {
    /// More are counted together: a server that makes a name up for every answer must not use up
    /// the memory.
    static let limit = 4096
    /// Longer names are cut off (RFC 1123: a host name has at most 253).
    static let maximumBytes = 253

    private(set) var names: [String] = []
    private var bytes: [[UInt8]] = []
    /// The places of names with this hash.
    private var places: [UInt64: [UInt16]] = [:]

    static let prefix: StaticString = "Response from Pod "
    /// For an answer that bears no name.
    static let unknown = "(unknown)"
    /// For the names beyond the limit.
    static let others = "(others)"

    /// The number of the pod with this name; `guess` is tried first.
    mutating func number(of name: UnsafeRawBufferPointer, guess: Int) -> Int {
        let name = UnsafeRawBufferPointer(rebasing: name.prefix(PodNames.maximumBytes))
        if bytes.indices.contains(guess), bytes[guess].elementsEqual(name) { return guess }
        let hash = PodNames.hash(name)
        for place in places[hash] ?? [] where bytes[Int(place)].elementsEqual(name) {
            return Int(place)
        }
        if names.count == PodNames.limit { return names.count - 1 }
        let isLast = names.count == PodNames.limit - 1
        let new = isLast ? Array(PodNames.others.utf8) : Array(name)
        places[hash, default: []].append(UInt16(names.count))
        bytes.append(new)
        names.append(String(decoding: new, as: UTF8.self))
        return names.count - 1
    }

    /// The number of answers without a name.
    mutating func unknownNumber(guess: Int) -> Int {
        var name = PodNames.unknown
        return name.withUTF8 { number(of: UnsafeRawBufferPointer($0), guess: guess) }
    }

    /// The name in a text that contains `Response from Pod <name>`; nil in any other.
    static func name(inBody body: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let wanted = UnsafeRawBufferPointer(
            start: prefix.utf8Start, count: prefix.utf8CodeUnitCount)
        guard body.count > wanted.count else { return nil }
        for start in 0..<(body.count - wanted.count)
        where body[start] == wanted[0] && body[start...].starts(with: wanted) {
            return word(UnsafeRawBufferPointer(rebasing: body[(start + wanted.count)...]))
        }
        return nil
    }

    /// What stands before the first white space or control character; nil where that is nothing.
    static func word(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer? {
        let end = text.firstIndex { $0 <= 0x20 || $0 == 0x7F } ?? text.endIndex
        return end == 0 ? nil : UnsafeRawBufferPointer(rebasing: text[..<end])
    }

    /// FNV-1a.
    private static func hash(_ name: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }
}
