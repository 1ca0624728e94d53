import CLibuv

/// A file that is written piece by piece, each as a whole and without buffering.
public final class OutputFile {
    private let path: String
    private var descriptor: Int32

    /// Makes the file, or empties it.
    /// - Throws: ``UVError`` whose operation names the path.
    public init(path: String) throws(UVError) {
        self.path = path
        descriptor = sonde_create_file(path)
        try UVError.check(descriptor, "write \(path)")
    }

    deinit { close() }

    /// Appends all bytes, or part of them where the disk is full.
    /// - Throws: ``UVError`` whose operation names the path.
    public func write(_ bytes: [UInt8]) throws(UVError) {
        let code = bytes.withUnsafeBytes { sonde_write_all(descriptor, $0.baseAddress, $0.count) }
        try UVError.check(code, "write \(path)")
    }

    /// Gives the descriptor back. Idempotent; later writes fail.
    public func close() {
        if descriptor >= 0 { _ = sonde_close(descriptor) }
        descriptor = -1
    }
}

@available(*, unavailable)
extension OutputFile: Sendable {}
