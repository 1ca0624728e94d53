import CLibuv

/// The process's standard output and standard error, written without buffering.
public enum StandardStream: Int32, Sendable {
    case output = 1
    case error = 2

    /// The stream that a path on the command line means; nil for a file of its own. Opened by its
    /// path, a stream that leads to a file would be emptied and written over.
    init?(path: String) {
        switch path {
        case "-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1": self = .output
        case "/dev/stderr", "/dev/fd/2", "/proc/self/fd/2": self = .error
        default: return nil
        }
    }

    /// Writes all bytes, waiting where a pipe is full. What cannot be written is lost: for messages
    /// on the way; results go through ``deliver(_:)``.
    public func write(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { _ = sonde_write_all(rawValue, $0.baseAddress, $0.count) }
    }

    /// Writes the text as UTF-8, as ``write(_:)`` does bytes.
    public func write(_ text: String) {
        write(Array(text.utf8))
    }

    /// Writes all bytes, waiting where a pipe is full. A reader that has gone away has seen what it
    /// wanted: that is no error.
    /// - Throws: ``UVError`` whose operation names the stream: the disk is full, the stream closed.
    public func deliver(_ bytes: [UInt8]) throws(UVError) {
        let code = bytes.withUnsafeBytes { sonde_write_all(rawValue, $0.baseAddress, $0.count) }
        if code != UV_EPIPE.rawValue { try UVError.check(code, operation) }
    }

    /// What errors say was tried.
    var operation: String { "write standard \(self == .output ? "output" : "error")" }

    /// Gives every standard descriptor that whoever started this process has closed a meaning, so
    /// that no file or socket takes its place. The first thing that a program does.
    public static func openAll() { sonde_open_standard_descriptors() }

    /// Whether a person watches: colours and lines that are drawn over are for terminals alone.
    public var isTerminal: Bool { uv_guess_handle(rawValue) == UV_TTY }
}
