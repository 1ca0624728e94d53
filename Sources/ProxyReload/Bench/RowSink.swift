import Reactor

/// Where rows go: formatted into memory, handed over in large chunks, written in the background.
final class RowSink {
    private let writer: BackgroundWriter
    private var chunk: UnsafeMutableRawPointer
    private var used = 0
    private let onFull: () -> Void

    /// - Parameter onFull: there is more under way than there should be.
    init(_ writer: BackgroundWriter, onFull: @escaping () -> Void) {
        self.writer = writer
        self.onFull = onFull
        chunk = writer.takeChunk()
    }

    deinit { chunk.deallocate() }

    /// Whether it has more under way than it should: no further requests for now.
    var isFull: Bool { writer.isBackpressured }
    /// Why nothing more is written.
    var failure: UVError? { writer.failure }
    /// Bytes that the system has taken.
    var writtenBytes: UInt64 { writer.writtenBytes }

    /// Memory for one row; ``took(_:)`` says how much of it was used.
    @inline(__always)
    var room: UnsafeMutableRawPointer {
        if used > BackgroundWriter.chunkBytes - RowFormat.longestRow { flush() }
        return chunk + used
    }

    @inline(__always)
    func took(_ count: Int) { used += count }

    func write(_ text: String) {
        for letter in text.utf8 {
            if used == BackgroundWriter.chunkBytes { flush() }
            chunk.storeBytes(of: letter, toByteOffset: used, as: UInt8.self)
            used += 1
        }
    }

    /// Hands over what there is, so that a reader sees it.
    func flush() {
        guard used > 0 else { return }
        writer.write(chunk, count: used)
        chunk = writer.takeChunk()
        used = 0
        if writer.isBackpressured { onFull() }
    }

    func onDrain(_ body: @escaping () -> Void) { writer.onDrain = body }
    func onFailure(_ body: @escaping (UVError) -> Void) { writer.onFailure = body }

    /// Writes the rest and closes; `completion` gets what went wrong at any time.
    func finish(_ completion: @escaping (UVError?) -> Void) {
        flush()
        writer.finish(completion)
    }
}
