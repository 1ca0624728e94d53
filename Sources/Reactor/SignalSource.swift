import CLibuv

/// Calls back on the loop's thread when the process receives a signal.
///
/// It does not keep the loop running: a program ends when its work does, not when a signal comes.
public final class SignalSource {
    /// What an orchestrator sends to end a process politely.
    public static let terminate: Int32 = SIGTERM
    /// What a terminal sends for Control-C.
    public static let interrupt: Int32 = SIGINT
    /// For the program's own use.
    public static let user1: Int32 = SIGUSR1

    private let handle = Handle<uv_signal_t>()
    private let loop: EventLoop
    private var onSignal: (() -> Void)?

    /// The signal is unblocked on the calling thread: a process may inherit a mask from whoever
    /// started it.
    /// - Parameter number: `SIGTERM`, `SIGINT`, …; not `SIGKILL` or `SIGSTOP`.
    /// - Throws: ``UVError`` when the signal cannot be caught.
    public init(
        loop: EventLoop, signal number: Int32, onSignal: @escaping () -> Void
    ) throws(UVError) {
        self.loop = loop
        self.onSignal = onSignal
        try UVError.check(uv_signal_init(loop.raw, handle.raw), "watch signal \(number)")
        handle.hold(self)
        handle.keepsLoopAlive = false
        let started = uv_signal_start(
            handle.raw,
            { handle, _ in handle?.withOwner(SignalSource.self) { $0.onSignal?() } }, number)
        sonde_unblock_signal(number)
        if started < 0 {
            close()
            throw UVError(operation: "watch signal \(number)", code: started)
        }
    }

    /// Restores the signal's former effect. Idempotent, and safe inside the callback.
    public func close() {
        onSignal = nil
        handle.close()
    }
}

@available(*, unavailable)
extension SignalSource: Sendable {}
