import CLibuv

/// The reading end of a pipe to which a child writes, cut into lines.
final class OutputPipe {
    private static let pieceBytes = 4096

    private var watcher: DescriptorWatcher?
    private let onLine: (String) -> Void
    private var ends: [Int32]
    private var line: [UInt8] = []

    /// The end for the child; closed here by ``startReading()``. -1 without a descriptor, which
    /// then is what starting the child fails with.
    var writeEnd: Int32 { ends[1] }

    private let loop: EventLoop

    init(loop: EventLoop, onLine: @escaping (String) -> Void) {
        self.loop = loop
        self.onLine = onLine
        var ends: [Int32] = [-1, -1]
        if sonde_pipe(&ends) < 0 { ends = [-1, -1] }
        self.ends = ends
    }

    deinit {
        closeEnd(0)
        closeEnd(1)
    }

    /// The child has its end.
    func startReading() {
        closeEnd(1)
        guard ends[0] >= 0 else { return }
        watcher = try? DescriptorWatcher(loop: loop, descriptor: ends[0]) { [self] _ in
            if !read() { stop() }
        }
        watcher?.watch(.readable)
    }

    /// The child has ended: everything that it wrote is in the pipe. Its own children may go on
    /// writing without end, so only what is there now is read.
    func finish() {
        var left = ends[0] < 0 ? 0 : Int(sonde_waiting_bytes(ends[0]))
        while left > 0, read(atMost: left) { left -= OutputPipe.pieceBytes }
        if !line.isEmpty, ends[0] >= 0 { deliver() }
        close()
    }

    /// No further lines.
    func close() {
        stop()
        closeEnd(0)
        closeEnd(1)
    }

    private func stop() {
        watcher?.close()
        watcher = nil
    }

    private func closeEnd(_ index: Int) {
        if ends[index] >= 0 { _ = sonde_close(ends[index]) }
        ends[index] = -1
    }

    /// Reads a piece; false when there is nothing now, or never again.
    private func read(atMost limit: Int = pieceBytes) -> Bool {
        guard ends[0] >= 0 else { return false }
        let piece = UnsafeMutableRawBufferPointer(
            rebasing: loop.readBuffer[..<min(limit, OutputPipe.pieceBytes)])
        let count = sonde_read(ends[0], piece.baseAddress, piece.count)
        guard count > 0 else { return false }
        // A copy, because a line's reader may let other handles read into the same memory.
        for byte in [UInt8](piece[..<count]) {
            if byte == UInt8(ascii: "\n") {
                deliver()
                if ends[0] < 0 { return false }  // the line made its reader close this
            } else if line.count < ChildProcess.longestLine {
                line.append(byte)
            }
        }
        return true
    }

    private func deliver() {
        let text = String(decoding: line, as: UTF8.self)
        line.removeAll(keepingCapacity: true)
        onLine(text)
    }
}
