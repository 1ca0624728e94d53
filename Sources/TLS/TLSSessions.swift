import COpenSSL

/// Sessions of a client, each for a later connection to the same peer.
struct TLSSessions {
    private var sessions: [String: [OpaquePointer]] = [:]

    /// As many as a pool of connections reopens at once.
    private static let perPeer = 64
    private static let peers = 256

    /// The session is this table's from now on.
    mutating func keep(_ session: OpaquePointer, for peer: String) {
        if sessions.count >= TLSSessions.peers, sessions[peer] == nil,
            let victim = sessions.keys.first
        {
            for old in sessions.removeValue(forKey: victim) ?? [] { SSL_SESSION_free(old) }
        }
        var ours = sessions.removeValue(forKey: peer) ?? []
        if ours.count >= TLSSessions.perPeer { SSL_SESSION_free(ours.removeFirst()) }
        ours.append(session)
        sessions[peer] = ours
    }

    /// The newest one, which is the caller's to free.
    ///
    /// A ticket of TLS 1.3 is good for one connection, so that connections cannot be linked
    /// (RFC 8446 appendix C.4); a session of TLS 1.2 is for as many as its server allows.
    mutating func take(for peer: String) -> OpaquePointer? {
        guard let newest = sessions[peer]?.last else { return nil }
        if SSL_SESSION_get_protocol_version(newest) == TLSConfiguration.Version.tls12.rawValue {
            SSL_SESSION_up_ref(newest)
        } else {
            sessions[peer]?.removeLast()
        }
        return newest
    }

    mutating func removeAll() {
        for session in sessions.values.joined() { SSL_SESSION_free(session) }
        sessions = [:]
    }
}
