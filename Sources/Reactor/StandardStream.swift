import CLibuv

/// The process's standard output and standard error, written without buffering.
public enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// Writes all bytes, waiting where a pipe is full. A reader that has gone away is not an error.
    public func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { _ = sonde_write_all(rawValue, $0.baseAddress, $0.count) }
    }

    /// Writes the text as UTF-8.
    public func write(_ text: String) {
        write(Array(text.utf8))
    }

    /// Whether a person watches: colours and lines that are drawn over are for terminals alone.
    public var isTerminal: Bool { uv_guess_handle(rawValue) == UV_TTY }

    /// Replaces a file's content; the file is made where it is missing.
    /// - Throws: ``UVError`` whose operation names the path.
    public static func writeFile(_ path: String, _ bytes: [UInt8]) throws(UVError) {
        let code = bytes.withUnsafeBytes { sonde_write_file(path, $0.baseAddress, $0.count) }
        try UVError.check(code, "write \(path)")
    }
}
