import Pacing

/// Lines for programs to read, one a response, gathered so that a system call writes many:
/// `Response from Pod <id> latency=20.001s at=21.473s connection=17`.
struct ResponseLines {
    private static let limit = 32 * 1024
    private var bytes: [UInt8] = []

    /// Whether it is time to write.
    var isFull: Bool { bytes.count >= ResponseLines.limit }

    mutating func append(pod: String, latency: Duration, at: Duration, connection: Int) {
        bytes.append(contentsOf: "Response from Pod ".utf8)
        bytes.append(contentsOf: pod.utf8)
        bytes.append(contentsOf: " latency=".utf8)
        append(seconds: latency)
        bytes.append(contentsOf: " at=".utf8)
        append(seconds: at)
        bytes.append(contentsOf: " connection=".utf8)
        append(decimal: UInt64(clamping: connection), digits: 1)
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func flush(to sink: (UnsafeRawBufferPointer) -> Void) {
        if bytes.isEmpty { return }
        bytes.withUnsafeBytes(sink)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Seconds with three decimals, cut off.
    private mutating func append(seconds duration: Duration) {
        let milliseconds = UInt64(max(duration.nanoseconds, 0)) / 1_000_000
        append(decimal: milliseconds / 1000, digits: 1)
        bytes.append(UInt8(ascii: "."))
        append(decimal: milliseconds % 1000, digits: 3)
        bytes.append(UInt8(ascii: "s"))
    }

    private mutating func append(decimal value: UInt64, digits: Int) {
        if value >= 10 || digits > 1 { append(decimal: value / 10, digits: digits - 1) }
        bytes.append(UInt8(ascii: "0") + UInt8(value % 10))
    }
}
