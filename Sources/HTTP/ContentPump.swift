/// Sends content that lies in pieces as fast as its reader takes it: what waits for a slow reader
/// stays where it is instead of being copied into a queue, or is not even made yet.
final class ContentPump {
    /// Handed over at a time.
    private static let sliceBytes = 128 << 10

    private let writer: HTTPResponseWriter
    private let next: () -> [UInt8]?
    private var piece: [UInt8] = []
    private var offset = 0

    init(_ writer: HTTPResponseWriter, next: @escaping () -> [UInt8]?) {
        self.writer = writer
        self.next = next
    }

    func run() {
        while true {
            if offset == piece.count {
                guard let more = next() else { return writer.finish() }
                piece = more
                offset = 0
                continue
            }
            let end = min(offset + Self.sliceBytes, piece.count)
            let outcome = piece.withUnsafeBytes {
                writer.write(UnsafeRawBufferPointer(rebasing: $0[offset..<end]))
            }
            offset = end
            switch outcome {
            case .flowing: continue
            case .gone: return
            case .backpressured: return writer.whenWritable { [self] in run() }
            }
        }
    }
}

@available(*, unavailable)
extension ContentPump: Sendable {}
