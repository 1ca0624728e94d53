import CLibuv

/// Work that would block the loop, on one of libuv's worker threads; see
/// ``EventLoop/runOffLoop(_:then:)``.
public final class OffLoopWork {
    private let request: UnsafeMutablePointer<uv_work_t>
    /// Set until the loop has heard of the end.
    private var loop: EventLoop?
    /// Hands the result over; nil once that is done, or nobody wants it any more.
    private var finish: (() -> Void)?
    private let perform: @Sendable () -> Void

    init(loop: EventLoop, perform: @escaping @Sendable () -> Void, finish: @escaping () -> Void) {
        request = .allocate(capacity: 1)
        self.loop = loop
        self.perform = perform
        self.finish = finish
        // Libuv's own reference, until the loop has heard of the end.
        request.pointee.data = Unmanaged.passRetained(self).toOpaque()
        // Cannot fail: there is something to call.
        uv_queue_work(
            loop.raw, request,
            { request in
                request?.withOwner(OffLoopWork.self) { $0.perform() }
            },
            { request, _ in
                guard let data = request?.pointee.data else { return }
                Unmanaged<OffLoopWork>.fromOpaque(data).takeRetainedValue().ended()
            })
    }

    deinit { request.deallocate() }

    /// Withdraws interest: the result is dropped. Work that no thread has begun is not begun; what
    /// is under way cannot be interrupted, and keeps the loop running until it is done.
    public func cancel() {
        finish = nil
        guard loop != nil else { return }
        _ = request.withMemoryRebound(to: uv_req_t.self, capacity: 1) { uv_cancel($0) }
    }

    private func ended() {
        let finish = self.finish
        self.finish = nil
        loop = nil
        finish?()
    }
}

@available(*, unavailable)
extension OffLoopWork: Sendable {}

/// Written by a worker, then read by the loop; libuv's queue, a lock, lies between the two.
private final class Slot<Value>: @unchecked Sendable {
    var value: Value?
}

extension EventLoop {
    /// Runs what would block (files, compression, a look into a large table) on one of libuv's
    /// worker threads: four, unless `UV_THREADPOOL_SIZE` says otherwise, which look-ups of names
    /// use as well.
    ///
    /// - Parameters:
    ///   - work: called once on another thread, unless it is cancelled before its turn.
    ///   - completion: gets its result on the loop's thread, never before this call has returned.
    @discardableResult
    public func runOffLoop<Value: Sendable>(
        _ work: @escaping @Sendable () -> Value, then completion: @escaping (Value) -> Void
    ) -> OffLoopWork {
        let slot = Slot<Value>()
        return OffLoopWork(
            loop: self, perform: { slot.value = work() },
            finish: {
                // Empty only for work that was cancelled, which has no completion any more.
                if let value = slot.value { completion(value) }
            })
    }
}
