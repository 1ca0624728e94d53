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

    private let handle: UnsafeMutablePointer<uv_signal_t>
    private let loop: EventLoop
    private var onSignal: (() -> Void)?

    /// The signal is unblocked on the calling thread: a process may inherit a mask from whoever
    /// started it.
    /// - Parameter number: `SIGTERM`, `SIGINT`, …; not `SIGKILL` or `SIGSTOP`.
    /// - Throws: ``UVError`` when the signal cannot be caught.
    public init(
        loop: EventLoop, signal number: Int32, onSignal: @escaping () -> Void
    ) throws(UVError) {
        handle = .allocate(capacity: 1)
        self.loop = loop
        self.onSignal = onSignal
        let code = uv_signal_init(loop.raw, handle)
        guard code >= 0 else {
            throw UVError(operation: "watch signal \(number)", code: code)
        }
        handle.pointee.data = Unmanaged.passRetained(self).toOpaque()
        handle.withMemoryRebound(to: uv_handle_t.self, capacity: 1) { uv_unref($0) }
        let started = uv_signal_start(
            handle,
            { handle, _ in
                guard let data = handle?.pointee.data else { return }
                Unmanaged<SignalSource>.fromOpaque(data)._withUnsafeGuaranteedRef {
                    $0.onSignal?()
                }
            }, number)
        sonde_unblock_signal(number)
        if started < 0 {
            close()
            throw UVError(operation: "watch signal \(number)", code: started)
        }
    }

    deinit { handle.deallocate() }

    /// Restores the signal's former effect. Idempotent, and safe inside the callback.
    public func close() {
        onSignal = nil
        closeHandle(handle) { handle in
            guard let data = handle?.pointee.data else { return }
            Unmanaged<SignalSource>.fromOpaque(data).release()
        }
    }
}

@available(*, unavailable)
extension SignalSource: Sendable {}
