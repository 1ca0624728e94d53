/// Why a TLS connection or its configuration failed, as a person would say it.
public struct TLSError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The reasons that programs tell apart; more may come.
    public struct Kind: Equatable, Hashable, Sendable {
        /// In a few words, such as `unknown issuer`.
        public let name: String

        /// A certificate, key or authority of this side cannot be used.
        public static let configuration = Kind(name: "configuration")
        /// The peer's certificate is for somebody else.
        public static let wrongHost = Kind(name: "wrong host")
        /// The peer's certificate is not valid yet, or no longer.
        public static let expired = Kind(name: "expired")
        /// Nobody whom this side believes has issued the peer's certificate.
        public static let unknownIssuer = Kind(name: "unknown issuer")
        /// Something else is wrong with the peer's certificate.
        public static let certificate = Kind(name: "certificate")
        /// The peer refused this side, and said so by an alert.
        public static let refused = Kind(name: "refused by peer")
        /// The peer does not speak TLS, or breaks its rules.
        public static let protocolViolation = Kind(name: "protocol violation")
        /// Both speak TLS, but have no version, cipher or protocol in common.
        public static let nothingInCommon = Kind(name: "nothing in common")
        /// The handshake took longer than it may.
        public static let timedOut = Kind(name: "handshake timed out")
        /// The connection ended without a close alert: something may be missing (RFC 8446 §6.1).
        public static let truncated = Kind(name: "truncated")
        /// The connection below failed before the handshake had ended.
        public static let connectionLost = Kind(name: "connection lost")
    }

    /// The reason that programs look at.
    public let kind: Kind
    /// The whole sentence, without the address, which the caller knows.
    public let description: String

    /// - Parameter description: a sentence without a full stop.
    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// Whether this side, and not the peer or the path, is to blame.
    public var isLocal: Bool { kind == .configuration }
}
