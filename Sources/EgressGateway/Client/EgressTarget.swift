import Reactor

/// What a client connects to: an IP address or a name, with a port.
public struct EgressTarget: Equatable, Sendable, CustomStringConvertible {
    /// Without brackets.
    public let host: String
    /// Not zero.
    public let port: UInt16
    /// Nil where the host is a name, which has to be looked up.
    public let address: SocketAddress?

    /// An address needs no look-up.
    public init(_ address: SocketAddress) {
        self.init(host: address.ipAddress.description, port: address.port, address: address)
    }

    /// Parses `10.0.0.1:80`, `[fd00::1]:80` and `target.example:80`; nil for anything else.
    ///
    /// A name is of letters, digits, hyphens, underscores and dots, and its last part is no number:
    /// that would be an address with a mistake in it (RFC 1123 §2.1).
    public init?(_ text: String) {
        guard let (host, port) = SocketAddress.split(text), !host.isEmpty, port != 0 else {
            return nil
        }
        if let address = SocketAddress(text) {
            self.init(address)
            return
        }
        let labels = host.utf8.split(separator: UInt8(ascii: "."))
        let isName = host.utf8.allSatisfy { byte in
            let letter = byte | 0x20
            return (0x61...0x7A).contains(letter) || (0x30...0x39).contains(byte)
                || "-_.".utf8.contains(byte)
        }
        guard isName, !text.hasPrefix("["), host.utf8.count <= 253, let last = labels.last,
            !last.allSatisfy({ (0x30...0x39).contains($0) })
        else { return nil }
        self.init(host: String(host), port: port, address: nil)
    }

    private init(host: String, port: UInt16, address: SocketAddress?) {
        self.host = host
        self.port = port
        self.address = address
    }

    public var description: String { address?.description ?? "\(host):\(port)" }

    /// Of what a look-up found, the first that a connection from these sources can go to; without
    /// any, an IPv4 address before others, as the original client knows no others.
    static func choose(_ found: [SocketAddress], sources: [IPAddress]) -> SocketAddress? {
        let isIPv6 = sources.first?.isIPv6
        let fitting = found.first { $0.ipAddress.isIPv6 == isIPv6 ?? false }
        return isIPv6 == nil ? fitting ?? found.first : fitting
    }
}
