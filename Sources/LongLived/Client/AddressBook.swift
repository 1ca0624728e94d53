import Reactor

/// The addresses that a name stands for, in turn.
///
/// Only those of one family are used: of the sources, where there are any, else of the first
/// address that the system prefers. While nothing of that family has answered, a failed dial turns
/// to the other one, so that `localhost` finds a server that listens on IPv4 alone.
struct AddressBook: Sendable {
    private var all: [SocketAddress] = []
    private(set) var addresses: [SocketAddress] = []
    private var next = 0
    private let required: Bool?
    private var usesIPv6: Bool?
    private var hasConnected = false

    /// - Parameter sources: the own addresses; of one family.
    init(sources: [IPAddress]) {
        required = sources.first?.isIPv6
    }

    /// What the name stands for now.
    ///
    /// - Parameter found: in the order that the system prefers.
    mutating func update(_ found: [SocketAddress]) {
        all = found
        let family = required ?? usesIPv6 ?? found.first?.ipAddress.isIPv6
        use(family)
        // A name may lose all addresses of a family.
        if addresses.isEmpty, required == nil { use(found.first?.ipAddress.isIPv6) }
    }

    /// The address for the next dial; nil where the name has none of the family.
    mutating func take() -> SocketAddress? {
        guard !addresses.isEmpty else { return nil }
        next = (next + 1) % addresses.count
        return addresses[next]
    }

    /// Somebody answers: the family stays.
    mutating func connected() { hasConnected = true }

    /// - Returns: whether this was only the look for the right family, and no failure.
    mutating func dialFailed(_ address: SocketAddress?) -> Bool {
        guard !hasConnected, required == nil, let isIPv6 = address?.ipAddress.isIPv6,
            all.contains(where: { $0.ipAddress.isIPv6 != isIPv6 })
        else { return false }
        if isIPv6 == usesIPv6 { use(!isIPv6) }
        return isIPv6 == all.first?.ipAddress.isIPv6
    }

    private mutating func use(_ isIPv6: Bool?) {
        usesIPv6 = isIPv6
        addresses = all.filter { $0.ipAddress.isIPv6 == isIPv6 }
        next = addresses.count - 1
    }
}
