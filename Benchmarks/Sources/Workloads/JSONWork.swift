import JSONCodec

/// Documents of the kind that the network-policy pods exchange: a list of a thousand connections.
enum JSONWork {
    static let all = [
        Workload(name: "json-read", bytes: document.count) { count in
            var ports = 0
            for _ in 0..<count {
                ports += document.withUnsafeBytes { (try? read($0)) ?? 0 }
            }
            precondition(ports == count * connections * 8080, "the document was not taken")
            return ports
        },
        Workload(name: "json-write", bytes: document.count) { count in
            var bytes = 0
            for _ in 0..<count { bytes += write().count }
            return bytes
        },
    ]

    private static let connections = 1000
    private static let document = write()

    private static func write() -> [UInt8] {
        var writer = JSONWriter(capacity: 96 * 1024)
        writer.beginArray()
        for index in 0..<connections {
            writer.beginObject()
            writer.key("addresses")
            writer.beginArray()
            writer.string("10.128.4.17")
            writer.endArray()
            writer.key("ports")
            writer.beginArray()
            writer.integer(8080)
            writer.endArray()
            writer.member("connectionidx", integer: index)
            writer.member("npname", string: "ingress-0-1")
            writer.endObject()
        }
        writer.endArray()
        return writer.bytes
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> Int {
        var reader = JSONReader(bytes)
        var ports = 0
        try reader.beginArray()
        while try reader.nextElement() {
            try reader.beginObject()
            while let key = try reader.nextKey() {
                if key.matches("ports") {
                    try reader.beginArray()
                    while try reader.nextElement() { ports += Int(try reader.readInteger()) }
                } else if key.matches("addresses") {
                    try reader.beginArray()
                    while try reader.nextElement() { _ = try reader.readString() }
                } else if key.matches("connectionidx") {
                    _ = try reader.readInteger()
                } else {
                    _ = try reader.readString()
                }
            }
        }
        try reader.endDocument()
        return ports
    }
}
