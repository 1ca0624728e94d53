import CLibuv

extension StreamConnection {
    /// See ``ByteStream/unsentBytes``.
    public final var unsentBytes: Int {
        state == .open ? uv_stream_get_write_queue_size(handle.raw) : 0
    }

    /// Sends bytes: as many as the kernel takes now, the rest copied and queued.
    ///
    /// A failure is reported through `onEnd`: at the end of what can still be read while reading,
    /// in the next turn while paused. After `onEnd` it closes the connection.
    @discardableResult
    public final func write(_ bytes: UnsafeRawBufferPointer) -> WriteOutcome {
        guard state == .open, !closesWhenWritten, !hasEndedWriting, writeFailure == 0 else {
            return .closed
        }
        guard let base = bytes.baseAddress, !bytes.isEmpty else { return outcome }
        if delaysSmallWrites {
            delaysSmallWrites = false
            stopDelayingWrites()
        }
        var sent = 0
        if queued == 0 {
            // libuv does not write to the buffer; its type has no const.
            var buffer = uv_buf_t(
                base: UnsafeMutablePointer(mutating: base.assumingMemoryBound(to: CChar.self)),
                len: bytes.count)
            let count = uv_try_write(handle.raw, &buffer, 1)
            if count >= 0 {
                sent = Int(count)
            } else if count != UV_EAGAIN.rawValue {
                reportWriteFailure(count)
                return .closed
            }
        }
        if sent < bytes.count { enqueueWrite(UnsafeRawBufferPointer(rebasing: bytes[sent...])) }
        return outcome
    }

    /// Sends a FIN after what is queued (half-close): the peer reads the end and may go on sending.
    ///
    /// Later writes are dropped.
    public final func endWriting() {
        guard state == .open, !hasEndedWriting else { return }
        hasEndedWriting = true
        let request = UnsafeMutablePointer<uv_shutdown_t>.allocate(capacity: 1)
        let code = uv_shutdown(request, handle.raw) { request, _ in request?.deallocate() }
        // Not connected any more: there is nothing left to end.
        if code < 0 { request.deallocate() }
    }

    /// Closes once everything queued has been sent. Later writes are dropped.
    public final func closeAfterWriting() {
        guard state == .open else { return }
        if queued == 0 {
            close()
        } else {
            closesWhenWritten = true
        }
    }

    /// Of what was ever queued, the bytes that the peer has confirmed, up to a constant: it grows
    /// while the peer takes something, within one large write too. Only the difference of two
    /// values means something, and only while something is queued.
    public final var takenBytes: Int64 {
        guard state == .open, let descriptor else { return 0 }
        let unsent = uv_stream_get_write_queue_size(handle.raw)
        return queuedTotal &- Int64(unsent) &- Int64(sonde_unconfirmed(descriptor))
    }

    /// Bytes that have come and were not read yet; 0 where it is not open.
    public final var unreadBytes: Int {
        guard state == .open, let descriptor else { return 0 }
        return Int(sonde_unread(descriptor))
    }

    private var outcome: WriteOutcome {
        guard queued > StreamConnection.highWaterBytes else { return .flowing }
        owesWritable = true
        return .backpressured
    }

    private func enqueueWrite(_ bytes: UnsafeRawBufferPointer) {
        let request = QueuedWrite(bytes)
        var buffer = uv_buf_t(
            base: request.memory.baseAddress?.assumingMemoryBound(to: CChar.self),
            len: bytes.count)
        request.request.pointee.data = Unmanaged.passRetained(request).toOpaque()
        let code = uv_write(request.request, handle.raw, &buffer, 1) { request, status in
            guard let request, let data = request.pointee.data else { return }
            let written = Unmanaged<QueuedWrite>.fromOpaque(data).takeRetainedValue()
            request.pointee.handle.withOwner(StreamConnection.self) {
                $0.wrote(written.memory.count, status: status)
            }
        }
        if code < 0 {
            Unmanaged.passUnretained(request).release()
            reportWriteFailure(code)
        } else {
            queued += bytes.count
            queuedTotal &+= Int64(bytes.count)
        }
    }

    private func wrote(_ count: Int, status: Int32) {
        queued -= count
        guard state == .open else { return }
        if status < 0 {
            reportWriteFailure(status)
            return
        }
        if queued == 0, closesWhenWritten {
            close()
        } else if owesWritable, queued <= StreamConnection.highWaterBytes / 2 {
            owesWritable = false
            tellWritable()
        }
    }

    func reportWriteFailure(_ code: Int32) {
        // In the next turn: the caller is still inside its write.
        let current = generation
        loop.enqueue { [self] in
            guard generation == current, state == .open else { return }
            if closesWhenWritten || hasEnded {
                close()  // nobody is left to be told otherwise
            } else if isReading, StreamConnection.endsReading(code) {
                writeFailure = code
            } else {
                ended(code: code)
            }
        }
    }

    /// Whether the reader will meet the end too, after what the peer had sent before: often enough
    /// an answer that says why it hung up.
    private static func endsReading(_ code: Int32) -> Bool {
        switch uv_errno_t(rawValue: code) {
        case UV_EPIPE, UV_ECONNRESET, UV_ETIMEDOUT: true
        default: false
        }
    }
}

/// The bytes of one `uv_write`, and its request, until libuv is done with both.
private final class QueuedWrite {
    let request: UnsafeMutablePointer<uv_write_t>
    let memory: UnsafeMutableRawBufferPointer

    init(_ bytes: UnsafeRawBufferPointer) {
        request = .allocate(capacity: 1)
        memory = .allocate(byteCount: bytes.count, alignment: 1)
        memory.copyMemory(from: bytes)
    }

    deinit {
        request.deallocate()
        memory.deallocate()
    }
}
