import Reactor
import TLS

/// Looks now and then whether a context's files have changed, and has them read again.
///
/// By content, not by time: where a secret is mounted its files are links that change at once, and
/// may be as old as they like. Between two files that are written one after the other the context
/// goes on with what it had, until both fit.
public final class TLSReloader {
    private let context: TLSContext
    private var digest: Int
    private var timer: Timer?

    /// - Parameters:
    ///   - interval: between two looks.
    ///   - onReload: told after each attempt; with an error the context has kept what it had.
    public init(
        loop: EventLoop, context: TLSContext, interval: Duration = .seconds(60),
        onReload: @escaping (TLSError?) -> Void
    ) {
        self.context = context
        digest = TLSReloader.digest(context)
        let timer = Timer(loop: loop) { [unowned self] in
            look(onReload)
            self.timer?.schedule(after: interval)
        }
        timer.setKeepsLoopAlive(false)
        timer.schedule(after: interval)
        self.timer = timer
    }

    deinit { timer?.close() }

    /// Looks no more. Idempotent.
    public func close() {
        timer?.close()
        timer = nil
    }

    private func look(_ onReload: (TLSError?) -> Void) {
        let digest = TLSReloader.digest(context)
        if digest == self.digest { return }
        self.digest = digest
        do throws(TLSError) {
            try context.reload()
            onReload(nil)
        } catch {
            onReload(error)
        }
    }

    private static func digest(_ context: TLSContext) -> Int {
        var hasher = Hasher()
        for path in context.configuration.files {
            do throws(UVError) {
                hasher.combine(try InputFile.read(path, limit: 16 << 20))
            } catch {
                hasher.combine(error.code)
            }
        }
        return hasher.finalize()
    }
}

@available(*, unavailable)
extension TLSReloader: Sendable {}
