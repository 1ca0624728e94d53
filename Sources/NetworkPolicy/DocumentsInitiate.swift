import JSONCodec
import Reactor

/// The body of `/initiate`, cut into what each client is to get: `{"10.0.0.1":[…],"10.0.0.2":[…]}`.
///
/// The lists are checked and stay where they are, byte for byte as they came, so that a proxy
/// forwards what it does not understand as well.
public struct InitiateDocument: Sendable, Equatable {
    /// One client and its list.
    public struct Part: Sendable, Equatable {
        /// The client as the document names it; its results are returned under this name.
        public var client: String
        /// Where it listens.
        public var address: SocketAddress
        /// Where its list lies in the document.
        public var list: Range<Int>
    }

    /// In the document's order; of equal names the last counts, at the place of the first.
    public private(set) var parts: [Part] = []
    /// Clients without an address, and what their lists have that is passed over by a client of
    /// ours; the lists are forwarded with it.
    public private(set) var skipped = SkippedEntries()

    /// Checks a whole document.
    ///
    /// A client is an IP address, with a port (`10.0.0.1:9001`, `[::1]:9001`) or without one; any
    /// other is passed over, and named in ``skipped``.
    /// - Parameters:
    ///   - defaultPort: where a client listens that is named without a port.
    ///   - limits: of every client's list.
    public init(
        splitting bytes: UnsafeRawBufferPointer, defaultPort: UInt16,
        limits: DocumentLimits = DocumentLimits()
    ) throws(JSONError) {
        var json = JSONReader(bytes)
        var places: [String: Int] = [:]
        var checker = ConnectionListReader(limits: limits, keeps: false)
        if try json.readNullIfPresent() == false {
            try json.beginObject()
            while let key = try json.nextKey() {
                let name = key.string
                guard let address = Self.address(name, defaultPort: defaultPort) else {
                    checker.list.skipped.add(.client, name)
                    try json.skipValue()
                    continue
                }
                _ = try json.peek()
                let start = json.offset
                checker.client = name
                try checker.readList(&json)
                let part = Part(client: name, address: address, list: start..<json.offset)
                if let place = places[name] {
                    parts[place] = part
                } else {
                    places[name] = parts.count
                    parts.append(part)
                }
            }
        }
        try json.endDocument()
        skipped = checker.list.skipped
    }

    private static func address(_ name: String, defaultPort: UInt16) -> SocketAddress? {
        if let address = IPAddress(name) { return SocketAddress(address, port: defaultPort) }
        if name.hasPrefix("["), name.hasSuffix("]"), name.contains(":"),
            let address = IPAddress(String(name.dropFirst().dropLast()))
        {
            return SocketAddress(address, port: defaultPort)
        }
        // An empty host would stand for every address, which is nobody's.
        guard !name.hasPrefix(":"), let address = SocketAddress(name), address.port != 0 else {
            return nil
        }
        return address
    }
}
