import CLibuv

/// Sends and receives datagrams (RFC 768).
///
/// Errors that the network reports about earlier datagrams (a port where nobody listens) go to
/// ``onError``; the socket stays open. IPv6 sockets take IPv4 as well, as ``TCPListener`` does.
public final class UDPSocket {
    /// What became of a datagram given to ``UDPSocket``.
    public enum SendOutcome: Equatable, Sendable {
        /// The kernel has it.
        case sent
        /// It waits here until the kernel has room.
        case queued
        /// It is gone: too many wait already, or the socket is closed.
        case dropped
        /// The kernel refused it: too long, no route, no address.
        case failed(UVError)
    }

    /// With more bytes than this waiting for the kernel, further datagrams are dropped.
    public static let queueLimit = 1 << 20

    /// The longest datagram's content: 65,535 bytes less the headers of UDP and IPv4.
    public static let maximumBytes = 65_507

    /// The loop it lives on.
    public let loop: EventLoop
    private let handle = Handle<uv_udp_t>()
    private var isClosing = false
    private var isConnected = false

    /// Gets each datagram with its sender, borrowed for the length of the call. Receiving starts
    /// paused.
    public var onReceive: ((UDPSocket, Datagram) -> Void)?
    /// The network or the kernel complained; the socket goes on.
    public var onError: ((UDPSocket, UVError) -> Void)?

    /// A datagram as it came.
    public struct Datagram {
        /// Its content, borrowed; may be empty.
        public let bytes: UnsafeRawBufferPointer
        /// Who sent it.
        public let sender: SocketAddress
        /// Whether the kernel had more of it than there was room for.
        public let isTruncated: Bool
    }

    /// A socket bound to `address`; its port 0 lets the kernel choose one.
    ///
    /// - Throws: ``UVError`` where the address is taken or not one of this machine's.
    public init(loop: EventLoop, address: SocketAddress) throws(UVError) {
        self.loop = loop
        let family = address.ipAddress.isIPv6 ? AF_INET6 : AF_INET
        let code = uv_udp_init_ex(loop.raw, handle.raw, UInt32(family))
        guard code >= 0 else {
            throw UVError(operation: "open datagram socket", code: code, address: address)
        }
        handle.hold(self)
        let bound = address.withSockaddr { uv_udp_bind(handle.raw, $0, 0) }
        if bound < 0 {
            close()
            throw UVError(operation: "bind", code: bound, address: address)
        }
    }

    /// Where it receives; nil once it is closed.
    public var localAddress: SocketAddress? {
        isClosing
            ? nil
            : SocketAddress.read { storage in
                var length = Int32(MemoryLayout<sockaddr_storage>.size)
                return storage.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    uv_udp_getsockname(handle.raw, $0, &length)
                }
            }
    }

    /// Sends to, and takes from, this peer only, whose refusals the kernel then reports.
    ///
    /// - Throws: ``UVError`` where there is no way to it, or it has a peer already.
    public func connect(to peer: SocketAddress) throws(UVError) {
        guard !isClosing else { return }
        let code = peer.withSockaddr { uv_udp_connect(handle.raw, $0) }
        try UVError.check(code, "connect", peer)
        isConnected = true
    }

    /// Bytes of datagrams that wait for the kernel.
    public var unsentBytes: Int { Int(uv_udp_get_send_queue_size(handle.raw)) }

    /// Sends one datagram.
    /// - Parameter peer: where to; nil on a socket that is connected.
    @discardableResult
    public func send(
        _ bytes: UnsafeRawBufferPointer, to peer: SocketAddress? = nil
    ) -> SendOutcome {
        if isClosing { return .dropped }
        if isConnected || peer == nil { return send(bytes, peer: peer, raw: nil) }
        return peer?.withSockaddr { send(bytes, peer: peer, raw: $0) } ?? .dropped
    }

    /// Sends one datagram; see ``send(_:to:)-(UnsafeRawBufferPointer,_)``.
    @discardableResult
    public func send(_ bytes: [UInt8], to peer: SocketAddress? = nil) -> SendOutcome {
        bytes.withUnsafeBytes { send($0, to: peer) }
    }

    private func send(
        _ bytes: UnsafeRawBufferPointer, peer: SocketAddress?, raw: UnsafePointer<sockaddr>?
    ) -> SendOutcome {
        // Only read: libuv's type knows no constant buffers.
        let base = UnsafeMutableRawPointer(mutating: bytes.baseAddress)
        var buffer = uv_buf_init(
            base?.assumingMemoryBound(to: CChar.self), UInt32(clamping: bytes.count))
        let code = uv_udp_try_send(handle.raw, &buffer, 1, raw)
        if code >= 0 { return .sent }
        guard code == UV_EAGAIN.rawValue else {
            return .failed(UVError(operation: "send", code: code, address: peer))
        }
        guard unsentBytes + bytes.count <= UDPSocket.queueLimit else { return .dropped }
        return queue(bytes, peer: peer, raw: raw)
    }

    private func queue(
        _ bytes: UnsafeRawBufferPointer, peer: SocketAddress?, raw: UnsafePointer<sockaddr>?
    ) -> SendOutcome {
        // The request, and behind it a copy of the content.
        let offset = MemoryLayout<uv_udp_send_t>.stride
        let block = UnsafeMutableRawPointer.allocate(
            byteCount: offset + bytes.count, alignment: MemoryLayout<uv_udp_send_t>.alignment)
        let request = block.bindMemory(to: uv_udp_send_t.self, capacity: 1)
        let copy = block + offset
        copy.copyMemory(from: bytes.baseAddress ?? UnsafeRawPointer(block), byteCount: bytes.count)
        var buffer = uv_buf_init(
            copy.assumingMemoryBound(to: CChar.self), UInt32(clamping: bytes.count))
        let code = uv_udp_send(request, handle.raw, &buffer, 1, raw) { request, status in
            guard let request else { return }
            if status < 0, status != UV_ECANCELED.rawValue {
                request.pointee.handle.withOwner(UDPSocket.self) {
                    $0.onError?($0, UVError(operation: "send", code: status))
                }
            }
            UnsafeMutableRawPointer(request).deallocate()
        }
        if code >= 0 { return .queued }
        block.deallocate()
        return .failed(UVError(operation: "send", code: code, address: peer))
    }

    /// Receives until ``pauseReading()``.
    public func resumeReading() {
        guard !isClosing else { return }
        let code = uv_udp_recv_start(
            handle.raw,
            { handle, _, buffer in
                handle?.withOwner(UDPSocket.self) {
                    let room = $0.loop.readBuffer
                    buffer?.pointee = uv_buf_init(
                        room.baseAddress?.assumingMemoryBound(to: CChar.self), UInt32(room.count))
                }
            },
            { handle, count, _, sender, flags in
                handle?.withOwner(UDPSocket.self) { $0.received(count, sender, flags) }
            })
        // Already receiving is what was asked for.
        if code < 0, code != UV_EALREADY.rawValue {
            let error = UVError(operation: "receive", code: code)
            loop.enqueue { [self] in onError?(self, error) }
        }
    }

    /// Leaves further datagrams to the kernel, which drops those that it has no room for.
    public func pauseReading() {
        if !isClosing { uv_udp_recv_stop(handle.raw) }
    }

    private func received(_ count: Int, _ sender: UnsafePointer<sockaddr>?, _ flags: UInt32) {
        if count < 0 {
            onError?(self, UVError(operation: "receive", code: Int32(clamping: count)))
        } else if let sender, let address = SocketAddress(sender) {
            // Without a sender nothing had come after all; an empty datagram has one.
            let bytes = UnsafeRawBufferPointer(rebasing: loop.readBuffer[..<count])
            let isTruncated = flags & UInt32(UV_UDP_PARTIAL.rawValue) != 0
            onReceive?(self, Datagram(bytes: bytes, sender: address, isTruncated: isTruncated))
        }
    }

    /// Gives the socket back; datagrams still waiting are dropped. Idempotent, and safe inside
    /// every callback.
    public func close() {
        if isClosing { return }
        isClosing = true
        onReceive = nil
        onError = nil
        handle.close()
    }
}

@available(*, unavailable)
extension UDPSocket: Sendable {}
@available(*, unavailable)
extension UDPSocket.Datagram: Sendable {}
