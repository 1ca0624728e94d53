import CLibuv

/// Writes a file, a pipe or a terminal on libuv's worker threads, so that the loop never waits for
/// a disk or a reader.
///
/// Whoever writes fills chunks of memory and hands them over; they are written whole, in order, one
/// at a time, and used again. Nothing is dropped: while ``isBackpressured`` the producer has to
/// stop, and ``onDrain`` tells when it may go on. After a failure nothing more is written.
public final class BackgroundWriter {
    /// The size of every chunk, in bytes.
    public static let chunkBytes = 128 * 1024
    /// Above this many bytes under way the writer is backpressured, until they are half as many.
    public var highWaterBytes = 16 << 20

    private struct Piece {
        var memory: UnsafeMutableRawPointer
        var start = 0
        var end: Int
    }

    private let loop: EventLoop
    private var place: OutputPlace
    private let request: UnsafeMutablePointer<uv_fs_t>
    private var pieces: [Piece] = []
    private var next = 0
    private var free: [UnsafeMutableRawPointer] = []
    private var isWriting = false
    /// Waits for a stream that is full.
    private var room: DescriptorWatcher?
    private var completion: ((UVError?) -> Void)?

    /// Bytes handed over that the system has not taken yet.
    public private(set) var pendingBytes = 0
    /// Bytes that the system has taken.
    public private(set) var writtenBytes: UInt64 = 0
    /// Why nothing more is written; nil while all is well.
    public private(set) var failure: UVError?
    /// Whether the producer should stop for now.
    public private(set) var isBackpressured = false
    /// The producer may go on.
    public var onDrain: (() -> Void)?
    /// A write has failed: called once, not inside ``write(_:count:)``.
    public var onFailure: ((UVError) -> Void)?

    /// Opens what takes the place of the file when all is written, as
    /// ``OutputFile/init(replacing:)`` does.
    /// - Throws: ``UVError`` whose operation names the path.
    public convenience init(loop: EventLoop, path: String) throws(UVError) {
        self.init(loop: loop, place: try OutputPlace(replacing: path))
    }

    /// Writes to one of the process's own streams, which stays open.
    public convenience init(loop: EventLoop, stream: StandardStream) {
        self.init(loop: loop, place: OutputPlace(stream))
    }

    init(loop: EventLoop, place: OutputPlace) {
        self.loop = loop
        self.place = place
        request = .allocate(capacity: 1)
        request.initialize(to: uv_fs_t())
    }

    deinit {
        place.abandon()
        for memory in free { memory.deallocate() }
        request.deallocate()
    }

    /// Memory for ``chunkBytes`` bytes, to be given back by ``write(_:count:)``.
    public func takeChunk() -> UnsafeMutableRawPointer {
        free.popLast() ?? .allocate(byteCount: Self.chunkBytes, alignment: 16)
    }

    /// Writes the first `count` bytes of a chunk, and takes the chunk.
    public func write(_ chunk: UnsafeMutableRawPointer, count: Int) {
        guard failure == nil, place.descriptor >= 0, count > 0 else { return release(chunk) }
        pieces.append(Piece(memory: chunk, end: min(count, Self.chunkBytes)))
        pendingBytes += count
        if pendingBytes > highWaterBytes { isBackpressured = true }
        if !isWriting { writeNext() }
    }

    /// Calls back once when all has been written, or cannot be. The file takes its place, or, after
    /// a failure, leaves the earlier one there.
    public func finish(_ completion: @escaping (UVError?) -> Void) {
        self.completion = completion
        if !isWriting { loop.enqueue { [self] in finished() } }
    }

    private func writeNext() {
        let piece = pieces[next]
        isWriting = true
        var buffer = uv_buf_t(
            base: piece.memory.assumingMemoryBound(to: CChar.self) + piece.start,
            len: piece.end - piece.start)
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        let code = uv_fs_write(loop.raw, request, place.descriptor, &buffer, 1, -1) { request in
            guard let request, let data = request.pointee.data else { return }
            let count = request.pointee.result
            uv_fs_req_cleanup(request)
            Unmanaged<BackgroundWriter>.fromOpaque(data).takeRetainedValue().wrote(count)
        }
        if code < 0 {
            Unmanaged.passUnretained(self).release()
            isWriting = false
            loop.enqueue { [self] in fail(code) }
        }
    }

    private func wrote(_ count: Int) {
        if count == Int(UV_EAGAIN.rawValue), awaitRoom() { return }
        isWriting = false
        if count < 0 { return fail(Int32(clamping: count)) }
        writtenBytes &+= UInt64(count)
        pendingBytes -= count
        pieces[next].start += count
        if pieces[next].start >= pieces[next].end {
            release(pieces[next].memory)
            next += 1
        }
        if next == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            next = 0
        } else {
            writeNext()
        }
        if isBackpressured, pendingBytes <= highWaterBytes / 2 {
            isBackpressured = false
            onDrain?()
        }
        if !isWriting, pieces.isEmpty { finished() }
    }

    /// Writes on when the stream takes bytes again; false where that cannot be known.
    private func awaitRoom() -> Bool {
        room = try? DescriptorWatcher(loop: loop, descriptor: place.descriptor) { [self] _ in
            // Closed first: the next write may find the stream full again.
            room?.close()
            room = nil
            writeNext()
        }
        room?.watch(.writable)
        return room != nil
    }

    private func fail(_ code: Int32) {
        guard failure == nil else { return }
        let error = UVError(operation: place.operation, code: code)
        failure = error
        for piece in pieces[next...] { release(piece.memory) }
        pieces = []
        next = 0
        pendingBytes = 0
        onFailure?(error)
        if isBackpressured {
            isBackpressured = false
            onDrain?()
        }
        finished()
    }

    private func finished() {
        guard let completion else { return }
        self.completion = nil
        onDrain = nil
        onFailure = nil
        if failure == nil {
            let code = place.commit()
            if code < 0 { failure = UVError(operation: place.operation, code: code) }
        } else {
            place.abandon()
        }
        completion(failure)
    }

    private func release(_ chunk: UnsafeMutableRawPointer) {
        // As many as a producer alternates between; a burst's memory goes back.
        if free.count < 4 { free.append(chunk) } else { chunk.deallocate() }
    }
}

@available(*, unavailable)
extension BackgroundWriter: Sendable {}
