import Pacing
import Reactor

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// A poll(2) loop such as a host program has had for years. It keeps its own descriptors and gives
/// an event loop, its guest, a turn among them.
///
/// All that the guest needs is in ``turn(atMost:)``: its descriptor among those polled, its timeout
/// as a bound on the wait, and one `runOnce(wait: false)` after it.
public final class PollLoop {
    private let guest: EventLoop
    private var handlers: [Int32: () -> Void] = [:]

    /// - Parameter guest: stays open; the host closes it when it is done.
    public init(guest: EventLoop) { self.guest = guest }

    /// Calls whenever `descriptor` has something to read, or has ended.
    public func watch(_ descriptor: Int32, onReadable: @escaping () -> Void) {
        handlers[descriptor] = onReadable
    }

    /// Calls no more.
    public func unwatch(_ descriptor: Int32) { handlers[descriptor] = nil }

    /// Waits for something to happen and handles it.
    ///
    /// - Parameter limit: how long to wait when nothing does.
    /// - Returns: whether the guest has anything open.
    @discardableResult
    public func turn(atMost limit: Duration) -> Bool {
        var entries = handlers.keys.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        entries.append(
            pollfd(fd: guest.backendDescriptor, events: Int16(POLLIN), revents: 0))

        // Nil: the guest has no timer, its descriptor alone says when it has work.
        let wait = min(limit, guest.backendTimeout ?? limit)
        let ready = poll(
            &entries, nfds_t(entries.count), Int32(clamping: wait.nanoseconds / 1_000_000))
        if ready > 0 {
            for entry in entries where entry.revents != 0 { handlers[entry.fd]?() }
        }
        // Always, not only when its descriptor is ready: a timer may be due, or one of the handlers
        // above may have given it something to do.
        return guest.runOnce(wait: false)
    }
}
