import CLibuv

/// An IPv4 or IPv6 address with a TCP port: `10.0.0.1:80`, `[::1]:80`.
public struct SocketAddress: Hashable, Sendable, LosslessStringConvertible {
    /// The host.
    public var ipAddress: IPAddress
    /// The TCP port; 0 lets the kernel choose one.
    public var port: UInt16

    /// From its two parts.
    public init(_ ipAddress: IPAddress, port: UInt16) {
        self.ipAddress = ipAddress
        self.port = port
    }

    /// Parses `10.0.0.1:80` or `[2001:db8::1]:80`; nil for anything else, names included.
    ///
    /// An empty host (`:9001`) stands for every address, as in Go's listen addresses.
    public init?(_ text: String) {
        guard let (host, port) = SocketAddress.split(text) else { return nil }
        if host.isEmpty {
            self.init(.anyV6, port: port)
            return
        }
        guard let address = IPAddress(String(host)) else { return nil }
        // Brackets are what tells an IPv6 address from its port (RFC 3986 §3.2.2). "[::ffff:…]" is
        // held as IPv4 but written with brackets, so the text decides.
        guard text.hasPrefix("[") == host.contains(":") else { return nil }
        self.init(address, port: port)
    }

    /// Appends the text form without making a string of it.
    public func append(to bytes: inout [UInt8]) {
        if let v4 = ipAddress.v4Bits {
            for shift: UInt32 in [24, 16, 8, 0] {
                SocketAddress.append(decimal: UInt16(v4 >> shift & 0xFF), to: &bytes)
                if shift > 0 { bytes.append(UInt8(ascii: ".")) }
            }
            bytes.append(UInt8(ascii: ":"))
            SocketAddress.append(decimal: port, to: &bytes)
        } else {
            bytes.append(contentsOf: description.utf8)
        }
    }

    private static func append(decimal number: UInt16, to bytes: inout [UInt8]) {
        if number >= 10 { append(decimal: number / 10, to: &bytes) }
        bytes.append(UInt8(ascii: "0") + UInt8(number % 10))
    }

    /// Splits `host:port` or `[v6]:port` without looking at what the host is; nil when the port is
    /// missing or not in 0…65535.
    public static func split(_ text: String) -> (host: Substring, port: UInt16)? {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 48 && $0 <= 57 }),
            let port = UInt16(digits)
        else { return nil }
        var host = text[..<colon]
        if host.hasPrefix("[") {
            guard host.hasSuffix("]") else { return nil }
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        return (host, port)
    }

    public var description: String {
        ipAddress.isIPv6 ? "[\(ipAddress)]:\(port)" : "\(ipAddress):\(port)"
    }
}

extension SocketAddress {
    /// Hands the address to C for the length of the call.
    func withSockaddr<R>(_ body: (UnsafePointer<sockaddr>) -> R) -> R {
        if ipAddress.isIPv6 {
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            withUnsafeMutableBytes(of: &address.sin6_addr) { bytes in
                bytes.storeBytes(of: ipAddress.high.bigEndian, as: UInt64.self)
                bytes.storeBytes(of: ipAddress.low.bigEndian, toByteOffset: 8, as: UInt64.self)
            }
            return withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
            }
        }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(truncatingIfNeeded: ipAddress.low).bigEndian
        return withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1, body)
        }
    }

    /// Reads an address that C filled in; nil for families other than IPv4 and IPv6.
    init?(_ address: UnsafePointer<sockaddr>) {
        switch Int32(address.pointee.sa_family) {
        case AF_INET:
            self = address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                SocketAddress(
                    IPAddress(v4: UInt32(bigEndian: $0.pointee.sin_addr.s_addr)),
                    port: UInt16(bigEndian: $0.pointee.sin_port))
            }
        case AF_INET6:
            self = address.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                let port = UInt16(bigEndian: $0.pointee.sin6_port)
                return withUnsafeBytes(of: $0.pointee.sin6_addr) { bytes in
                    SocketAddress(
                        IPAddress(
                            v6High: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                            low: UInt64(
                                bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
                        ), port: port)
                }
            }
        default: return nil
        }
    }

    /// Reads an address from the storage that `body` had C fill in; nil when C reports an error.
    static func read(
        _ body: (UnsafeMutablePointer<sockaddr_storage>) -> Int32
    ) -> SocketAddress? {
        var storage = sockaddr_storage()
        guard body(&storage) >= 0 else { return nil }
        return withUnsafePointer(to: storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { SocketAddress($0) }
        }
    }
}
