import CLibuv

/// A failed operation of the loop or one of its handles: what was tried, on which address, and
/// libuv's code for the reason.
///
/// Printed as a person would say it: `connect 10.0.0.7:8080: connection refused`.
public struct UVError: Error, Equatable, Sendable, CustomStringConvertible {
    /// What was tried, as a verb: `connect`, `listen`, `read`.
    public let operation: String
    /// libuv's error code: negative, on POSIX systems `-errno`.
    public let code: Int32
    /// The address the operation was about, where there is one.
    public let address: SocketAddress?

    /// - Parameter code: negative, as libuv returns it.
    public init(operation: String, code: Int32, address: SocketAddress? = nil) {
        self.operation = operation
        self.code = code
        self.address = address
    }

    /// The reasons that programs tell apart.
    public enum Kind: Equatable, Sendable {
        /// Nobody listens there, or a firewall answered with a reset.
        case refused
        /// The peer broke an established connection off.
        case reset
        /// A deadline passed, ours or the kernel's.
        case timedOut
        /// The network said that host, network or port cannot be reached, or forbade it.
        case unreachable
        /// The address to listen on is taken.
        case addressInUse
        /// The address to bind is not one of this machine, or its ports have run out.
        case addressNotAvailable
        /// This process or the whole system has no file descriptors left.
        case outOfDescriptors
        /// The name does not resolve.
        case unknownName
        /// The operation was withdrawn by its caller.
        case cancelled
        case other
    }

    /// The code, sorted into the reasons that programs tell apart.
    public var kind: Kind {
        switch uv_errno_t(rawValue: code) {
        case UV_ECONNREFUSED: .refused
        case UV_ECONNRESET, UV_EPIPE, UV_ECONNABORTED, UV_ENOTCONN: .reset
        case UV_ETIMEDOUT: .timedOut
        case UV_EHOSTUNREACH, UV_ENETUNREACH, UV_ENETDOWN, UV_EHOSTDOWN, UV_EACCES, UV_EPERM:
            .unreachable
        case UV_EADDRINUSE: .addressInUse
        case UV_EADDRNOTAVAIL: .addressNotAvailable
        case UV_EMFILE, UV_ENFILE: .outOfDescriptors
        case UV_EAI_NONAME, UV_EAI_AGAIN, UV_EAI_FAIL, UV_EAI_NODATA, UV_EAI_ADDRFAMILY,
            UV_EAI_FAMILY, UV_EAI_SERVICE:
            .unknownName
        case UV_ECANCELED, UV_EAI_CANCELED: .cancelled
        default: .other
        }
    }

    /// Whether this machine, and not the peer or the path, is to blame: out of descriptors, ports,
    /// buffers or memory. An instrument must not count such a failure against its target.
    public var isLocal: Bool {
        switch uv_errno_t(rawValue: code) {
        case UV_EMFILE, UV_ENFILE, UV_EADDRNOTAVAIL, UV_EADDRINUSE, UV_ENOBUFS, UV_ENOMEM,
            UV_EAFNOSUPPORT, UV_EINVAL, UV_EBADF:
            true
        default: false
        }
    }

    /// The reason alone, in words: `connection refused`.
    public var reason: String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 128) { buffer in
            guard let text = uv_strerror_r(code, buffer.baseAddress, buffer.count) else {
                return "error \(code)"
            }
            return String(cString: text)
        }
    }

    public var description: String {
        if let address { return "\(operation) \(address): \(reason)" }
        return "\(operation): \(reason)"
    }

    /// Throws when `code` is one of libuv's errors.
    static func check(
        _ code: Int32, _ operation: String, _ address: SocketAddress? = nil
    ) throws(UVError) {
        if code < 0 { throw UVError(operation: operation, code: code, address: address) }
    }
}
