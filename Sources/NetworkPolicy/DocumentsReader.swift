import JSONCodec
import Telemetry

/// What a document may ask of us.
public struct DocumentLimits: Sendable {
    /// Targets in one connection list. An entry multiplies its addresses with its ports, so that a
    /// small document can ask for very many.
    public var targets = 1_000_000

    /// Everything at its default.
    public init() {}
}

extension ConnectionList {
    /// Reads a whole document that is one list.
    ///
    /// As Go's decoder would: keys whatever their case, the last of equal keys counts, unknown keys
    /// and `null` count as absent; `null` and `[]` are empty lists. Ports that are not from 1 to
    /// 65535 and addresses that are neither addresses nor host names are passed over, and named in
    /// ``skipped``.
    public init(
        reading bytes: UnsafeRawBufferPointer, limits: DocumentLimits = DocumentLimits()
    ) throws(JSONError) {
        var json = JSONReader(bytes)
        var reader = ConnectionListReader(limits: limits, keeps: true)
        try reader.readList(&json)
        try json.endDocument()
        self = reader.list
    }
}

/// Reads lists, or only checks them (`keeps: false`) where they are forwarded as they stand.
struct ConnectionListReader {
    var list = ConnectionList()
    /// Whose list is read, where the document has several.
    var client: String?
    private let limits: DocumentLimits
    private let keeps: Bool
    private var policyIndexes: [String: UInt32] = [:]
    // Of the entry being read; its members come in any order.
    private var addresses: [String] = []
    private var ports: [UInt16] = []
    private var policy: JSONText?
    private var skippedAddresses = SkippedEntries()
    private var skippedPorts = SkippedEntries()
    /// Whether there is anything in the two, which is nearly never.
    private var hasSkipped = false
    private var addressCount = 0
    private var portCount = 0
    private var targetCount = 0

    init(limits: DocumentLimits, keeps: Bool) {
        self.limits = limits
        self.keeps = keeps
    }

    /// Reads the next value of `json` as a list.
    mutating func readList(_ json: inout JSONReader) throws(JSONError) {
        (targetCount, list.entryCount) = (0, 0)
        if try json.readNullIfPresent() { return }
        try json.beginArray()
        while try json.nextElement() {
            try readEntry(&json)
            list.entryCount += 1
        }
    }

    private mutating func readEntry(_ json: inout JSONReader) throws(JSONError) {
        if try json.readNullIfPresent() { return }
        policy = nil
        forgetAddresses()
        forgetPorts()
        try json.beginObject()
        let entryOffset = json.valueOffset
        while let key = try json.nextKey() {
            if key.matches("addresses") {
                try readAddresses(&json)
            } else if key.matches("ports") {
                try readPorts(&json)
            } else if key.matches("netpol") {
                if try json.readNullIfPresent() { continue }
                policy = try json.readString()
            } else {
                try json.skipValue()
            }
        }
        if hasSkipped { noteSkipped() }
        let (product, overflow) = addressCount.multipliedReportingOverflow(by: portCount)
        let (sum, carried) = targetCount.addingReportingOverflow(product)
        guard !overflow, !carried, sum <= limits.targets else {
            throw json.error(
                expected: "at most \(limits.targets) targets (addresses × ports) in a list",
                at: entryOffset)
        }
        targetCount = sum
        if keeps, product > 0 { addTargets() }
    }

    private mutating func noteSkipped() {
        for skipped in [skippedAddresses, skippedPorts] {
            list.skipped.add(
                skipped, client: client, index: list.entryCount, policy: policy?.string ?? "")
        }
        (skippedAddresses, skippedPorts, hasSkipped) = (SkippedEntries(), SkippedEntries(), false)
    }

    // Of a member given twice the last counts.

    private mutating func forgetAddresses() {
        addressCount = 0
        if !addresses.isEmpty { addresses.removeAll(keepingCapacity: true) }
        if hasSkipped { skippedAddresses = SkippedEntries() }
    }

    private mutating func forgetPorts() {
        portCount = 0
        if !ports.isEmpty { ports.removeAll(keepingCapacity: true) }
        if hasSkipped { skippedPorts = SkippedEntries() }
    }

    private mutating func addTargets() {
        let policy = policy?.string ?? ""
        let policyIndex = policyIndexes[policy] ?? UInt32(list.policies.count)
        if policyIndex == list.policies.count {
            policyIndexes[policy] = policyIndex
            list.policies.append(policy)
        }
        for address in addresses {
            let addressIndex = UInt32(list.addresses.count)
            list.addresses.append(address)
            for port in ports {
                list.targets.append(
                    ConnectionList.Target(
                        entry: UInt32(list.entryCount), address: addressIndex, policy: policyIndex,
                        port: port))
            }
        }
    }

    private mutating func readAddresses(_ json: inout JSONReader) throws(JSONError) {
        forgetAddresses()
        if try json.readNullIfPresent() { return }
        try json.beginArray()
        while try json.nextElement() {
            let text = try json.readString()
            // Escapes are possible though nobody writes them; without them nothing is copied.
            let decoded = text.hasEscapes ? Array(text.string.utf8) : []
            let address =
                text.hasEscapes
                ? decoded.withUnsafeBytes { Self.address($0) } : Self.address(text.raw)
            guard let address else {
                hasSkipped = true
                skippedAddresses.add(.address, text.string)
                continue
            }
            addressCount += 1
            if keeps {
                let name = text.string.utf8.dropFirst(address.lowerBound).prefix(address.count)
                addresses.append(String(decoding: name, as: UTF8.self))
            }
        }
    }

    private mutating func readPorts(_ json: inout JSONReader) throws(JSONError) {
        forgetPorts()
        if try json.readNullIfPresent() { return }
        try json.beginArray()
        while try json.nextElement() {
            let number = try readPortNumber(&json)
            guard let port = UInt16(exactly: number), port > 0 else {
                hasSkipped = true
                skippedPorts.add(.port, "\(number)")
                continue
            }
            portCount += 1
            if keeps { ports.append(port) }
        }
    }

    /// Where in `bytes` something stands that can be connected to, without the brackets of an IPv6
    /// literal; nil for what can only be a mistake. Whether a name exists is the resolver's affair.
    private static func address(_ bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        guard 1...255 ~= bytes.count else { return nil }
        var bytes = bytes[...]
        if bytes.first == UInt8(ascii: "["), bytes.last == UInt8(ascii: "]"), bytes.count > 2 {
            bytes = bytes.dropFirst().dropLast()
            guard bytes.contains(UInt8(ascii: ":")) else { return nil }
        }
        let isPlausible = bytes.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            case UInt8(ascii: "."), UInt8(ascii: ":"), UInt8(ascii: "-"), UInt8(ascii: "_"),
                UInt8(ascii: "%"):
                true
            default: false
            }
        }
        return isPlausible ? bytes.indices : nil
    }
}

private let portWords = "a port from 1 to 65535"

/// Reads a number where a port is expected, whatever its size.
private func readPortNumber(_ json: inout JSONReader) throws(JSONError) -> Int64 {
    guard try json.peek() == .number else { throw json.error(expected: portWords, at: json.offset) }
    return try json.readInteger()
}

/// Reads a port number.
func readPort(_ json: inout JSONReader) throws(JSONError) -> UInt16 {
    guard let port = UInt16(exactly: try readPortNumber(&json)), port > 0 else {
        throw json.error(expected: portWords)
    }
    return port
}

extension ConnectionResult {
    /// Reads a whole document that is one client's results; `null` counts as none.
    public static func read(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> [Self] {
        var json = JSONReader(bytes)
        let results = try readArray(&json)
        try json.endDocument()
        return results
    }

    /// Reads the proxy's results: each client's address as it is written, and what it found.
    public static func readByClient(
        _ bytes: UnsafeRawBufferPointer
    ) throws(JSONError) -> [(client: String, results: [Self])] {
        var json = JSONReader(bytes)
        var clients: [(client: String, results: [Self])] = []
        if try json.readNullIfPresent() == false {
            try json.beginObject()
            while let key = try json.nextKey() {
                let client = key.string
                clients.append((client, try readArray(&json)))
            }
        }
        try json.endDocument()
        return clients
    }

    /// Reads the next value of `json` as an array of results.
    public static func readArray(_ json: inout JSONReader) throws(JSONError) -> [Self] {
        var results: [Self] = []
        if try json.readNullIfPresent() { return results }
        try json.beginArray()
        while try json.nextElement() { results.append(try Self(&json)) }
        return results
    }

    /// Reads the next value of `json`; unknown members are ignored, so that results of newer and
    /// older tools can be read. The uncertainty follows from the two moments.
    private init(_ json: inout JSONReader) throws(JSONError) {
        self.init(
            address: "", port: 0, connectionIndex: 0, policy: "",
            timestamp: WallClock(nanosecondsSinceEpoch: 0))
        try json.beginObject()
        let offset = json.valueOffset
        var (hasAddress, hasTimestamp) = (false, false)
        while let key = try json.nextKey() {
            if try json.readNullIfPresent() { continue }
            hasAddress = hasAddress || key.matches("address")
            hasTimestamp = hasTimestamp || key.matches("timestamp")
            try readMember(key, &json)
        }
        // Without these two it says nothing; a time of zero would pass for a measured one.
        guard hasAddress, hasTimestamp else {
            throw json.error(expected: "a result with address and timestamp", at: offset)
        }
    }

    private mutating func readMember(
        _ key: JSONText, _ json: inout JSONReader
    ) throws(JSONError) {
        if key.matches("address") {
            address = try json.readString().string
        } else if key.matches("port") {
            port = try NetworkPolicy.readPort(&json)
        } else if key.matches("connectionidx") || key.matches("ingressidx") {
            connectionIndex = try Self.readCount(&json)
        } else if key.matches("npname") {
            policy = try json.readString().string
        } else if key.matches("timestamp") {
            timestamp = try Self.readMoment(&json)
        } else if key.matches("connectedat") {
            connectedAt = try Self.readMoment(&json)
        } else if key.matches("notbefore") {
            notBefore = try Self.readMoment(&json)
        } else if key.matches("attempts") {
            attempts = try Self.readCount(&json)
        } else if key.matches("connectms") {
            let milliseconds = try json.readDouble()
            guard 0...1e12 ~= milliseconds else {
                throw json.error(expected: "a time in milliseconds")
            }
            connectTime = .nanoseconds(Int64((milliseconds * 1e6).rounded()))
        } else if key.matches("denied") {
            guard let kind = DenialKind(rawValue: try json.readString().string) else {
                throw json.error(expected: "drop, reset or unreachable")
            }
            denied = kind
        } else {
            try json.skipValue()
        }
    }

    private static func readCount(_ json: inout JSONReader) throws(JSONError) -> Int {
        guard let count = Int(exactly: try json.readInteger()), count >= 0 else {
            throw json.error(expected: "a number that is not negative")
        }
        return count
    }

    private static func readMoment(_ json: inout JSONReader) throws(JSONError) -> WallClock {
        let text = try json.readString().string
        do {
            return try WallClock(parsing: text)
        } catch {
            throw json.error(expected: "an RFC 3339 time (\(error.expected))")
        }
    }
}
