import CLibuv

/// A program that the loop started, and the news of its end.
///
///     state      event                      next      callback
///     running    a line of output           running   onLine (captured output only)
///     running    it ends                    ended     onLine for what is left, then onExit, once
///     running    close                      ending    – (it is killed; onExit is dropped)
///     ending     it ends                    closed    –
///     ended      close                      closed    –
///
/// Started with default signal dispositions and an empty signal mask, in this process's group and
/// working directory, with its environment; standard input is `/dev/null`. libuv installs a handler
/// for `SIGCHLD` while a child runs, and reaps only children of its own: no zombie is left, because
/// the handle is kept until the child has ended.
public final class ChildProcess {
    /// Where standard output and standard error of the child go.
    public enum Output: Sendable {
        /// Nowhere.
        case discarded
        /// To those of this process.
        case inherited
        /// Both to this process's standard error, for programs whose own output is data.
        case standardError
        /// Both to `onLine`. The pipe ends with the child: what its own children write later
        /// meets a closed pipe.
        case captured
    }

    /// How a child ended.
    public struct Exit: Equatable, Sendable, CustomStringConvertible {
        /// The exit code; zero where a signal ended it.
        public var code: Int
        /// The number of the signal that ended it, or zero.
        public var signal: Int32

        /// - Parameters:
        ///   - code: as the program gave it.
        ///   - signal: zero for none.
        public init(code: Int, signal: Int32 = 0) {
            self.code = code
            self.signal = signal
        }

        /// Whether it ended by itself with code zero.
        public var isSuccess: Bool { code == 0 && signal == 0 }

        /// `exit code 1` or `signal 9`.
        public var description: String { signal == 0 ? "exit code \(code)" : "signal \(signal)" }
    }

    /// `SIGTERM`, which asks a program to end.
    public static let terminate: Int32 = SIGTERM
    /// `SIGKILL`, which ends it.
    public static let kill: Int32 = SIGKILL

    /// Longer lines of captured output are cut; the rest of the line is dropped.
    public static let longestLine = 4096

    private let handle = Handle<uv_process_t>()
    private let loop: EventLoop
    private var pipe: OutputPipe?
    private var onExit: ((Exit) -> Void)?
    private var hasEnded = false
    private var isClosing = false

    /// The process id.
    public var identifier: Int32 { handle.raw.pointee.pid }
    /// Whether it has not ended yet, as far as the loop knows.
    public var isRunning: Bool { !hasEnded }

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - program: a path, or a name that is looked for in `PATH`.
    ///   - arguments: without the program's own name.
    ///   - onLine: gets each line of captured output without its end; bytes that are not UTF-8 are
    ///     replaced.
    ///   - onExit: called once when it has ended, unless ``close()`` came first.
    /// - Throws: ``UVError`` when it cannot be started; the operation names the program.
    public init(
        loop: EventLoop, program: String, arguments: [String], output: Output = .inherited,
        onLine: ((String) -> Void)? = nil, onExit: @escaping (Exit) -> Void
    ) throws(UVError) {
        self.loop = loop
        self.onExit = onExit
        handle.raw.initialize(to: uv_process_t())
        let pipe = output == .captured ? OutputPipe(loop: loop, onLine: onLine ?? { _ in }) : nil
        self.pipe = pipe
        // The mask of whoever started us may hold it, and libuv does not look.
        sonde_unblock_signal(SIGCHLD)
        let code = Self.spawn(loop, handle.raw, [program] + arguments, output, pipe)
        // libuv has the handle even when nothing was started: it goes through its close callback.
        handle.hold(self)
        if code < 0 {
            hasEnded = true
            self.onExit = nil
            close()
            throw UVError(operation: "start \(program)", code: code)
        }
        pipe?.startReading()
    }

    /// Starts `/bin/sh -c command`.
    /// - Throws: ``UVError`` when there is no shell, or no process to be had.
    public convenience init(
        loop: EventLoop, command: String, output: Output = .inherited,
        onLine: ((String) -> Void)? = nil, onExit: @escaping (Exit) -> Void
    ) throws(UVError) {
        try self.init(
            loop: loop, program: "/bin/sh", arguments: ["-c", command], output: output,
            onLine: onLine, onExit: onExit)
    }

    /// Sends it a signal; nothing once it has ended.
    public func signal(_ number: Int32) {
        if !hasEnded { uv_process_kill(handle.raw, number) }
    }

    /// Gives the handle back. A child that is still running is killed (`SIGKILL`) and reaped first,
    /// which keeps the loop running for that long. Idempotent, and safe inside every callback.
    public func close() {
        onExit = nil
        guard !isClosing else { return }
        isClosing = true
        pipe?.close()
        pipe = nil
        if hasEnded { handle.close() } else { uv_process_kill(handle.raw, SIGKILL) }
    }

    private func ended(_ exit: Exit) {
        guard !hasEnded else { return }
        hasEnded = true
        if isClosing { return handle.close() }
        pipe?.finish()
        pipe = nil
        let onExit = self.onExit
        close()
        onExit?(exit)
    }

    private static func spawn(
        _ loop: EventLoop, _ handle: UnsafeMutablePointer<uv_process_t>, _ words: [String],
        _ output: Output, _ pipe: OutputPipe?
    ) -> Int32 {
        var options = uv_process_options_t()
        options.exit_cb = { handle, code, signal in
            handle?.withOwner(ChildProcess.self) {
                $0.ended(Exit(code: Int(code), signal: signal))
            }
        }
        var streams = [uv_stdio_container_t](repeating: uv_stdio_container_t(), count: 3)
        for index in 1...2 { streams[index] = stream(index, output, pipe) }
        var pointers: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) }
        defer { for pointer in pointers { free(pointer) } }
        pointers.append(nil)
        return pointers.withUnsafeMutableBufferPointer { arguments in
            streams.withUnsafeMutableBufferPointer { streams in
                options.file = arguments[0].map { UnsafePointer($0) }
                options.args = arguments.baseAddress
                options.stdio = streams.baseAddress
                options.stdio_count = 3
                return uv_spawn(loop.raw, handle, &options)
            }
        }
    }

    private static func stream(
        _ index: Int, _ output: Output, _ pipe: OutputPipe?
    ) -> uv_stdio_container_t {
        var stream = uv_stdio_container_t()  // UV_IGNORE: /dev/null
        switch output {
        case .discarded: break
        case .inherited:
            stream.flags = UV_INHERIT_FD
            stream.data.fd = Int32(index)
        case .standardError:
            stream.flags = UV_INHERIT_FD
            stream.data.fd = 2
        case .captured:
            // One pipe for both, so that lines stay in the order in which they were written.
            guard let pipe else { break }
            stream.flags = UV_INHERIT_FD
            stream.data.fd = pipe.writeEnd
        }
        return stream
    }
}

@available(*, unavailable)
extension ChildProcess: Sendable {}
