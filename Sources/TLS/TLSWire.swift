import COpenSSL

/// The bytes between an OpenSSL session and its connection: what has come and was not read yet, and
/// what is to be sent. OpenSSL reaches it through a BIO of our own, which holds no buffer.
final class TLSWire {
    /// Borrowed for the length of one call.
    var input = UnsafeRawBufferPointer(start: nil, count: 0)
    var output: [UInt8] = []
    /// What was found wrong with the peer's certificate.
    var verdict: TLSError?
    /// Whom the session is with, as the sentences name it.
    let peer: String
    /// By what its sessions are resumed: one that was verified for a name is for no other.
    let sessionKey: String
    /// Where tickets go; the context outlives the wire, which its machine holds together with it.
    private unowned let context: TLSContext

    init(peer: String, serverName: String?, context: TLSContext) {
        self.peer = peer
        sessionKey = "\(peer) \(serverName ?? "")"
        self.context = context
    }

    // MARK: - OpenSSL's side

    /// There are few of them in a process.
    private static let type = BIO_get_new_index()

    static func makeMethod() -> OpaquePointer? {
        guard type > 0 else { return nil }
        guard let method = BIO_meth_new(type | BIO_TYPE_SOURCE_SINK, "sonde wire") else {
            return nil
        }
        BIO_meth_set_read(method) { bio, buffer, size in
            guard let bio, let buffer, let wire = TLSWire.of(bio) else { return -1 }
            sonde_tls_clear_retry(bio)
            let count = min(Int(size), wire.input.count)
            guard count > 0, let source = wire.input.baseAddress else {
                sonde_tls_retry_read(bio)
                return -1
            }
            UnsafeMutableRawPointer(buffer).copyMemory(from: source, byteCount: count)
            wire.input = UnsafeRawBufferPointer(rebasing: wire.input[count...])
            return Int32(count)
        }
        BIO_meth_set_write(method) { bio, bytes, size in
            guard let bio, let bytes, let wire = TLSWire.of(bio) else { return -1 }
            sonde_tls_clear_retry(bio)
            if wire.output.capacity == 0 { wire.context.lendOutput(&wire.output) }
            wire.output.append(
                contentsOf: UnsafeRawBufferPointer(start: bytes, count: Int(max(size, 0))))
            return size
        }
        BIO_meth_set_ctrl(method) { _, command, _, _ in command == BIO_CTRL_FLUSH ? 1 : 0 }
        BIO_meth_set_create(method) { bio in
            BIO_set_init(bio, 1)
            return 1
        }
        return method
    }

    private static func of(_ bio: OpaquePointer) -> TLSWire? {
        BIO_get_data(bio).map { Unmanaged<TLSWire>.fromOpaque($0).takeUnretainedValue() }
    }

    private static func of(session: OpaquePointer) -> TLSWire? {
        SSL_get_rbio(session).flatMap { of($0) }
    }

    /// A ticket has come: the session is this side's now where 1 is returned.
    static func received(ticket: OpaquePointer?, of session: OpaquePointer?) -> Int32 {
        guard let ticket, let session, let wire = of(session: session) else { return 0 }
        // Not one of a session from before the files were read again: see TLSContext.reload.
        guard SSL_get_SSL_CTX(session) == wire.context.raw else { return 0 }
        wire.context.keep(ticket, for: wire.sessionKey)
        return 1
    }

    /// Notes what is wrong with the certificate that is being looked at.
    static func judged(isGood: Bool, _ store: OpaquePointer?) {
        guard !isGood, let store,
            let session = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()),
            let wire = of(session: OpaquePointer(session))
        else { return }
        wire.verdict = CertificateVerdict.error(
            code: X509_STORE_CTX_get_error(store),
            certificate: X509_STORE_CTX_get_current_cert(store), peer: wire.peer)
    }
}
