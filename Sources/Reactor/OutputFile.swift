import CLibuv

/// A file that is written piece by piece, each as a whole and without buffering.
public final class OutputFile {
    private var place: OutputPlace

    /// Opens a new file beside the one that is there, whose name it takes with ``commit()``: so an
    /// earlier result survives whatever goes wrong. `-` and `/dev/stdout` are standard output,
    /// behind what it has; devices and pipes are written as they are.
    /// - Throws: ``UVError`` whose operation names the path.
    public init(replacing path: String) throws(UVError) {
        place = try OutputPlace(replacing: path)
    }

    /// Makes the file, or empties it: for what others read while it grows.
    /// - Throws: ``UVError`` whose operation names the path.
    public init(path: String) throws(UVError) {
        place = try OutputPlace(emptying: path)
    }

    deinit { close() }

    /// Appends all bytes, or part of them where the disk is full.
    /// - Throws: ``UVError`` whose operation names the path.
    public func write(_ bytes: [UInt8]) throws(UVError) {
        let code = bytes.withUnsafeBytes {
            sonde_write_all(place.descriptor, $0.baseAddress, $0.count)
        }
        try UVError.check(code, place.operation)
    }

    /// Closes the file, which takes the place of the earlier one.
    /// - Throws: ``UVError`` whose operation names the path; the earlier one is as it was.
    public func commit() throws(UVError) {
        try UVError.check(place.commit(), place.operation)
    }

    /// Gives the descriptor back; without ``commit()`` the earlier file stays. Idempotent; later
    /// writes fail.
    public func close() { place.abandon() }
}

@available(*, unavailable)
extension OutputFile: Sendable {}

/// Where output goes, and what is done when it is complete or given up.
struct OutputPlace {
    private(set) var descriptor: Int32
    /// What errors say was tried.
    let operation: String
    /// The new file, and the one whose place it is to take.
    private var replacement: (new: String, old: String)?

    /// A stream of this process, which stays open.
    init(_ stream: StandardStream) {
        descriptor = stream.rawValue
        operation = stream.operation
    }

    init(
        _ descriptor: Int32, _ path: String, replacement: (new: String, old: String)? = nil
    ) throws(UVError) {
        self.descriptor = descriptor
        operation = "write \(path)"
        self.replacement = replacement
        try UVError.check(descriptor, operation)
    }

    init(emptying path: String) throws(UVError) {
        try self.init(sonde_create_file(path, 0), path)
    }

    init(replacing path: String) throws(UVError) {
        if let stream = StandardStream(path: path) {
            self.init(stream)
            return
        }
        // A descriptor by another name: the file behind it is somebody else's.
        if path.hasPrefix("/dev/") || path.hasPrefix("/proc/") {
            try self.init(emptying: path)
            return
        }
        // Through a link: it stays, and what it names is replaced.
        let old = OutputPlace.resolved(path)
        let mode = sonde_file_mode(old)
        guard mode >= 0 || mode == UV_ENOENT.rawValue else {
            try self.init(emptying: path)
            return
        }
        let new = "\(old).\(String(uv_hrtime(), radix: 36)).tmp"
        let descriptor = sonde_create_file(new, 1)
        if descriptor < 0, mode >= 0 {
            // A folder where nothing may be made can still hold a file that may be written.
            try self.init(emptying: path)
            return
        }
        try self.init(descriptor, path, replacement: (new, old))
        if mode >= 0 { fchmod(descriptor, mode_t(mode)) }
    }

    /// Closes; zero, or why the output is not where it should be.
    mutating func commit() -> Int32 {
        defer { abandon() }
        guard let (new, old) = replacement else {
            // A file system may tell of its troubles as late as now.
            return closeDescriptor()
        }
        let code = sonde_sync(descriptor)
        let closed = closeDescriptor()
        if code < 0 || closed < 0 { return min(code, closed) }
        let renamed = sonde_rename(new, old)
        if renamed == 0 { replacement = nil }
        return renamed
    }

    /// Closes; the earlier file stays as it is.
    mutating func abandon() {
        _ = closeDescriptor()
        if let replacement { unlink(replacement.new) }
        replacement = nil
    }

    private mutating func closeDescriptor() -> Int32 {
        defer { descriptor = -1 }
        return descriptor > StandardStream.error.rawValue ? sonde_close(descriptor) : 0
    }

    private static func resolved(_ path: String) -> String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }
}
