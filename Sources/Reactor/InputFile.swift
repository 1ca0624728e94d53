import CLibuv

/// Files that are read as a whole.
public enum InputFile {
    /// The content of a file, or with `-` of standard input. Blocks until all of it is there, so it
    /// is for programs that have not begun to serve anybody.
    ///
    /// - Parameter limit: in bytes.
    /// - Throws: ``UVError`` whose operation names the path: it cannot be opened or read, or is
    ///   longer than the limit.
    public static func read(_ path: String, limit: Int = 256 << 20) throws(UVError) -> [UInt8] {
        let operation = path == "-" ? "read standard input" : "read \(path)"
        let descriptor = path == "-" ? 0 : sonde_open_file(path)
        try UVError.check(descriptor, operation)
        defer { if path != "-" { _ = sonde_close(descriptor) } }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 64 << 10)
        while true {
            let count = piece.withUnsafeMutableBytes {
                sonde_read(descriptor, $0.baseAddress, $0.count)
            }
            try UVError.check(Int32(clamping: count), operation)
            guard count > 0 else { return bytes }
            guard bytes.count + count <= limit else {
                throw UVError(operation: operation, code: UV_EFBIG.rawValue)
            }
            bytes.append(contentsOf: piece[..<count])
        }
    }
}
