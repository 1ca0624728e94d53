/// What one side of TLS connections trusts, shows and offers.
public struct TLSConfiguration: Sendable {
    /// Which end of its connections a context is.
    public enum Role: Equatable, Sendable {
        /// Begins the handshake.
        case client
        /// Waits for it.
        case server
    }

    /// Whose certificates are believed.
    public struct Trust: Equatable, Sendable {
        enum Source: Equatable, Sendable { case system, nothing, file(String), folder(String) }
        var source: Source

        /// The system's authorities, where OpenSSL finds them (`SSL_CERT_FILE` and `SSL_CERT_DIR`
        /// name other places).
        public static let system = Trust(source: .system)
        /// Nobody's is looked at: the connection is encrypted, and whose it is stays unknown.
        public static let unverified = Trust(source: .nothing)
        /// The authorities of a file, PEM, one certificate after the other.
        public static func file(_ path: String) -> Trust { Trust(source: .file(path)) }
        /// The authorities of a folder with names that `openssl rehash` has made.
        public static func folder(_ path: String) -> Trust { Trust(source: .folder(path)) }
    }

    /// A certificate with what belongs to it, as PEM files.
    public struct Identity: Equatable, Sendable {
        /// The certificate, and behind it those between it and its authority.
        public var chainFile: String
        /// Its private key.
        public var keyFile: String

        /// - Parameters:
        ///   - chainFile: a path, PEM.
        ///   - keyFile: a path, PEM.
        public init(chainFile: String, keyFile: String) {
            self.chainFile = chainFile
            self.keyFile = keyFile
        }
    }

    /// A version of the protocol. Older ones are not spoken (RFC 8996).
    public enum Version: Int32, Comparable, Sendable, CustomStringConvertible {
        /// RFC 5246.
        case tls12 = 0x0303
        /// RFC 8446.
        case tls13 = 0x0304

        /// The older one is less.
        public static func < (a: Version, b: Version) -> Bool { a.rawValue < b.rawValue }
        /// As people say it: `TLS 1.3`.
        public var description: String { self == .tls12 ? "TLS 1.2" : "TLS 1.3" }
    }

    /// Which end.
    public var role: Role
    /// Whom a client believes; for a server, whose certificates its clients must show, or
    /// ``Trust/unverified`` to ask for none.
    public var trust: Trust
    /// What this side shows: a server must, a client where it is asked.
    public var identity: Identity?
    /// The versions that are spoken.
    public var versions: ClosedRange<Version> = .tls12 ... .tls13
    /// Protocols for ALPN (RFC 7301), the preferred one first: `["h2", "http/1.1"]`. A server
    /// refuses a client that offers none of them (§3.2); one that offers nothing is served.
    public var protocols: [String] = []
    /// From the first byte until both sides are sure of each other.
    public var handshakeTimeout: Duration = .seconds(10)
    /// Whether sessions are resumed: tickets of TLS 1.3 (RFC 8446 §2.2) and 1.2 (RFC 5077).
    public var resumesSessions = true

    /// The files that a context is made from, without what stands in folders.
    public var files: [String] {
        var files = identity.map { [$0.chainFile, $0.keyFile] } ?? []
        if case .file(let path) = trust.source { files.append(path) }
        return files
    }

    /// A client that believes the system's authorities.
    public static func client(
        trust: Trust = .system, identity: Identity? = nil
    ) -> TLSConfiguration {
        TLSConfiguration(role: .client, trust: trust, identity: identity)
    }

    /// A server that shows this certificate.
    public static func server(
        identity: Identity, clients trust: Trust = .unverified
    ) -> TLSConfiguration {
        TLSConfiguration(role: .server, trust: trust, identity: identity)
    }
}

/// What both sides have agreed on.
public struct TLSSession: Equatable, Sendable {
    /// Of the protocol.
    public var version: TLSConfiguration.Version
    /// OpenSSL's name of the cipher suite.
    public var cipher: String
    /// What ALPN chose; nil where it was not used.
    public var applicationProtocol: String?
    /// Whether an earlier session was resumed: no certificate was shown again.
    public var isResumed: Bool
    /// The name that the client asked for (SNI, RFC 6066 §3).
    public var serverName: String?
    /// The names that the peer's certificate is for; empty where it showed none.
    public var peerNames: String
}
