/// The instances that answered, numbered in the order in which they were first seen.
///
/// So many are told apart; all further ones share the number ``others``, so that a backend that
/// invents names cannot take all memory. A row of the recording has the true name all the same.
public struct InstanceTable: Sendable {
    /// How many instances are told apart.
    public static let limit = 255
    /// The number of all further ones.
    public static let others = UInt16(limit)

    /// By number. Bytes that are not UTF-8 were replaced.
    public private(set) var names: [String] = []
    /// As they came, and as they are written.
    private var bytes: [[UInt8]] = []
    private var written: [[UInt8]] = []
    /// Numbers by a few bits of the name: one comparison finds any of a handful of instances.
    private var cache = [UInt16](repeating: 0, count: 64)

    /// Empty.
    public init() {}

    /// The name of a number that this table gave out.
    public func name(_ number: UInt16) -> String {
        number < names.count ? names[Int(number)] : "(others)"
    }

    /// The number of the instance with this name; a new one where it is new.
    public mutating func number(of name: UnsafeRawBufferPointer) -> UInt16 {
        let slot = Self.slot(name)
        let cached = cache[slot]
        if Int(cached) < bytes.count, Self.isEqual(bytes[Int(cached)], name) { return cached }
        return search(name, slot)
    }

    /// Calls with a name that has a number of its own, in UTF-8.
    @inline(__always)
    func withBytes(of number: UInt16, _ body: (UnsafeRawBufferPointer) -> Void) {
        written[Int(number)].withUnsafeBytes(body)
    }

    /// A name from the network as UTF-8, whatever its bytes are.
    static func repaired(_ name: UnsafeRawBufferPointer) -> [UInt8] {
        Array(String(decoding: name, as: UTF8.self).utf8)
    }

    private mutating func search(_ name: UnsafeRawBufferPointer, _ slot: Int) -> UInt16 {
        if let found = bytes.firstIndex(where: { Self.isEqual($0, name) }) {
            cache[slot] = UInt16(found)
            return UInt16(found)
        }
        guard bytes.count < Self.limit else { return Self.others }
        let number = UInt16(bytes.count)
        bytes.append([UInt8](name))
        written.append(Self.repaired(name))
        names.append(String(decoding: name, as: UTF8.self))
        cache[slot] = number
        return number
    }

    @inline(__always)
    private static func slot(_ name: UnsafeRawBufferPointer) -> Int {
        guard let last = name.last, let first = name.first else { return 0 }
        return (Int(last) &+ Int(first) &* 7 &+ name.count &* 31) & 63
    }

    @inline(__always)
    private static func isEqual(_ known: [UInt8], _ name: UnsafeRawBufferPointer) -> Bool {
        guard known.count == name.count else { return false }
        var index = 0
        while index < known.count {
            if known[index] != name[index] { return false }
            index &+= 1
        }
        return true
    }
}
