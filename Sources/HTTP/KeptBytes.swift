/// Bytes that came and were not consumed yet. Consuming moves only what stands behind a half that
/// is gone, so that many small messages in one read cost one pass and not one each.
struct KeptBytes {
    private var bytes: [UInt8] = []
    private var start = 0

    /// Up to this many bytes of memory are kept for the next time.
    static let smallCapacity = 4096

    @inline(__always)
    var isEmpty: Bool { bytes.isEmpty }
    /// Bytes of memory, consumed ones included.
    var capacity: Int { bytes.capacity }

    mutating func append(_ more: UnsafeRawBufferPointer) { bytes.append(contentsOf: more) }

    /// The first `count` bytes are done with.
    mutating func consume(_ count: Int) {
        start += count
        if start == bytes.count {
            bytes.removeAll(keepingCapacity: bytes.capacity <= KeptBytes.smallCapacity)
            start = 0
        } else if start > bytes.count / 2 {
            bytes.removeFirst(start)
            start = 0
        }
    }

    func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
        bytes.withUnsafeBytes { body(UnsafeRawBufferPointer(rebasing: $0[start...])) }
    }
}
