import CLibuv

/// An IPv4 or IPv6 address without a port.
///
/// An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`, RFC 4291 §2.5.5.2), which dual-stack listeners
/// report for IPv4 peers, is held as the IPv4 address that it stands for.
public struct IPAddress: Hashable, Sendable, Comparable, LosslessStringConvertible {
    /// The upper and lower half of the 128 bits; an IPv4 address is the low 32 of `low`.
    let high: UInt64
    let low: UInt64
    /// Which of the two families it is of.
    public let isIPv6: Bool

    /// From the 32 bits of an IPv4 address: `0x7F000001` is 127.0.0.1.
    public init(v4 bits: UInt32) {
        high = 0
        low = UInt64(bits)
        isIPv6 = false
    }

    /// From the two halves of an IPv6 address, most significant bits first.
    public init(v6High: UInt64, low: UInt64) {
        let isMapped = v6High == 0 && low >> 32 == 0xFFFF
        high = v6High
        self.low = isMapped ? low & 0xFFFF_FFFF : low
        isIPv6 = !isMapped
    }

    /// Parses `10.0.0.1` or `2001:db8::1`; nil for anything else, names included.
    public init?(_ text: String) {
        guard !text.utf8.contains(0) else { return nil }  // C would stop reading there
        var v4 = UInt32(0)  // both in network byte order
        var v6 = (UInt64(0), UInt64(0))
        if uv_inet_pton(AF_INET, text, &v4) == 0 {
            self.init(v4: UInt32(bigEndian: v4))
        } else if uv_inet_pton(AF_INET6, text, &v6) == 0, !text.contains("%") {
            self.init(v6High: UInt64(bigEndian: v6.0), low: UInt64(bigEndian: v6.1))
        } else {
            return nil
        }
    }

    /// The IPv4 address as 32 bits; nil for an IPv6 address.
    public var v4Bits: UInt32? { isIPv6 ? nil : UInt32(truncatingIfNeeded: low) }

    /// Every address of this machine: `0.0.0.0`.
    public static let anyV4 = IPAddress(v4: 0)
    /// Every address of this machine, IPv4 ones too on a dual-stack listener: `::`.
    public static let anyV6 = IPAddress(v6High: 0, low: 0)
    /// `127.0.0.1`
    public static let loopbackV4 = IPAddress(v4: 0x7F00_0001)
    /// `::1`
    public static let loopbackV6 = IPAddress(v6High: 0, low: 1)

    /// Whether it is one of this machine's own to itself: 127.0.0.0/8 (RFC 1122 §3.2.1.3) or `::1`.
    public var isLoopback: Bool {
        self == .loopbackV6 || v4Bits.map { $0 >> 24 == 127 } ?? false
    }

    public static func < (a: IPAddress, b: IPAddress) -> Bool {
        (a.isIPv6 ? 1 : 0, a.high, a.low) < (b.isIPv6 ? 1 : 0, b.high, b.low)
    }

    public var description: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
            guard let base = buffer.baseAddress else { return "?" }
            var v4 = UInt32(truncatingIfNeeded: low).bigEndian
            var v6 = (high.bigEndian, low.bigEndian)
            if isIPv6 {
                uv_inet_ntop(AF_INET6, &v6, base, buffer.count)
            } else {
                uv_inet_ntop(AF_INET, &v4, base, buffer.count)
            }
            return String(cString: base)
        }
    }
}

/// A block of addresses in CIDR notation: `10.0.0.0/8`, `2001:db8::/32` (RFC 4632, RFC 4291 §2.3).
public struct CIDR: Hashable, Sendable, LosslessStringConvertible {
    /// The lowest address of the block.
    public let network: IPAddress
    /// How many leading bits all addresses of the block share: 0…32 or 0…128.
    public let prefixLength: Int

    /// Parses `address/length`; a bare address is a block of one. Bits behind the prefix are
    /// dropped, as routers do. Nil when either part is not valid.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddress(String(first)) else { return nil }
        let width = address.isIPv6 ? 128 : 32
        if parts.count == 2 {
            let digits = parts[1]
            guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
                let length = Int(digits), length <= width
            else { return nil }
            self.init(address, prefixLength: length)
        } else {
            self.init(address, prefixLength: width)
        }
    }

    /// The block of `prefixLength` bits (held within 0…width) that `address` lies in.
    public init(_ address: IPAddress, prefixLength: Int) {
        let width = address.isIPv6 ? 128 : 32
        let length = min(max(prefixLength, 0), width)
        self.prefixLength = length
        let (high, low) = CIDR.mask(leading: length + 128 - width)
        network =
            address.isIPv6
            ? IPAddress(v6High: address.high & high, low: address.low & low)
            : IPAddress(v4: UInt32(truncatingIfNeeded: address.low & low))
    }

    /// Whether `address` is of the same family and lies in this block.
    public func contains(_ address: IPAddress) -> Bool {
        guard address.isIPv6 == network.isIPv6 else { return false }
        let (high, low) = CIDR.mask(leading: prefixLength + (address.isIPv6 ? 0 : 96))
        return address.high & high == network.high & high && address.low & low == network.low & low
    }

    public var description: String { "\(network)/\(prefixLength)" }

    /// The 128-bit mask with that many leading ones; shifts past the width give zero in Swift.
    private static func mask(leading: Int) -> (high: UInt64, low: UInt64) {
        (~(UInt64.max >> UInt64(min(leading, 64))), ~(UInt64.max >> UInt64(max(leading - 64, 0))))
    }
}
