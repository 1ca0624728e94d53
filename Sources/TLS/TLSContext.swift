import COpenSSL

/// The keys and rules that many connections share; made once, from files.
///
/// Confined to one thread, like the loop that its connections run on.
public final class TLSContext {
    /// What it was made from.
    public let configuration: TLSConfiguration
    private(set) var raw: OpaquePointer
    private var sessions = TLSSessions()
    /// Plaintext on its way out of OpenSSL: one for all sessions, as none holds it across calls.
    let scratch: UnsafeMutableRawBufferPointer
    /// Memory for what the next session has to send; only one has something at a time, mostly.
    private var spareOutput: [UInt8] = []
    /// How a session reaches its bytes; see ``TLSMachine``.
    let wireMethod: OpaquePointer
    /// The offer of ALPN in its wire form: each name behind its length.
    let protocols: [UInt8]

    /// Reads the files that the configuration names.
    /// - Throws: ``TLSError`` of the kind `configuration`, with the file and its fault.
    public init(_ configuration: TLSConfiguration) throws(TLSError) {
        guard let method = TLSWire.makeMethod() else { throw TLSContext.outOfMemory }
        do throws(TLSError) {
            protocols = try TLSContext.wireForm(configuration.protocols)
            raw = try TLSContext.make(configuration)
        } catch {
            BIO_meth_free(method)
            throw error
        }
        self.configuration = configuration
        wireMethod = method
        scratch = .allocate(byteCount: 16384, alignment: 16)
        prepare(raw)
    }

    deinit {
        sessions.removeAll()
        SSL_CTX_free(raw)
        BIO_meth_free(wireMethod)
        scratch.deallocate()
    }

    /// Reads the files again: new connections use what they hold now, those under way keep what
    /// they began with, and the tickets that a server gave out stay good.
    /// - Throws: ``TLSError``; the context then goes on with what it had.
    public func reload() throws(TLSError) {
        let new = try TLSContext.make(configuration)
        _ = sonde_tls_copy_ticket_keys(raw, new)
        prepare(new)
        SSL_CTX_free(raw)
        raw = new
        // A resumed session shows no certificate: whom this side believed before may be out.
        sessions.removeAll()
    }

    func lendOutput(_ output: inout [UInt8]) { swap(&output, &spareOutput) }

    func recycle(_ output: inout [UInt8]) {
        guard output.capacity <= 128 << 10 else { return }
        output.removeAll(keepingCapacity: true)
        swap(&output, &spareOutput)
    }

    func keep(_ session: OpaquePointer, for peer: String) { sessions.keep(session, for: peer) }

    /// A session to resume, which is the caller's to free.
    func takeSession(for peer: String) -> OpaquePointer? { sessions.take(for: peer) }

    // MARK: - Making one

    static let outOfMemory = TLSError(.configuration, "OpenSSL has no memory")

    private static func make(_ configuration: TLSConfiguration) throws(TLSError) -> OpaquePointer {
        ERR_clear_error()
        let method = configuration.role == .client ? TLS_client_method() : TLS_server_method()
        guard let context = SSL_CTX_new(method) else { throw outOfMemory }
        do throws(TLSError) {
            try set(configuration, on: context)
        } catch {
            SSL_CTX_free(context)
            throw error
        }
        return context
    }

    private static func set(
        _ configuration: TLSConfiguration, on context: OpaquePointer
    ) throws(TLSError) {
        sonde_tls_set_mode(context)
        let versions = configuration.versions
        guard
            sonde_tls_set_versions(
                context, versions.lowerBound.rawValue, versions.upperBound.rawValue) == 1
        else { throw failure("versions \(versions.lowerBound) to \(versions.upperBound)") }
        sonde_tls_set_rules(context)
        if configuration.role == .server {
            sonde_tls_cache_off(context)
            sonde_tls_accept_names(context)
            // Any constant: without one OpenSSL refuses to resume where clients show certificates.
            _ = SSL_CTX_set_session_id_context(context, "sonde", 5)
            if !configuration.resumesSessions { sonde_tls_tickets_off(context) }
        }
        try setIdentity(configuration, on: context)
        try setTrust(configuration, on: context)
    }

    private static func setIdentity(
        _ configuration: TLSConfiguration, on context: OpaquePointer
    ) throws(TLSError) {
        guard let identity = configuration.identity else {
            if configuration.role == .client { return }
            throw TLSError(.configuration, "a TLS server needs a certificate and its key")
        }
        guard SSL_CTX_use_certificate_chain_file(context, identity.chainFile) == 1 else {
            throw failure("certificate file \(identity.chainFile)")
        }
        guard SSL_CTX_use_PrivateKey_file(context, identity.keyFile, SSL_FILETYPE_PEM) == 1 else {
            guard sonde_tls_is_key_mismatch() == 1 else {
                throw failure("key file \(identity.keyFile)")
            }
            ERR_clear_error()
            throw TLSError(
                .configuration,
                "the key in \(identity.keyFile) is not that of the certificate in "
                    + identity.chainFile)
        }
    }

    private static func setTrust(
        _ configuration: TLSConfiguration, on context: OpaquePointer
    ) throws(TLSError) {
        switch configuration.trust.source {
        case .nothing:
            SSL_CTX_set_verify(context, SSL_VERIFY_NONE, nil)
            return
        case .system:
            guard SSL_CTX_set_default_verify_paths(context) == 1 else {
                throw failure("the system's authorities")
            }
        case .file(let path):
            guard SSL_CTX_load_verify_file(context, path) == 1 else {
                throw failure("authorities in \(path)")
            }
            if configuration.role == .server {
                // Clients are told whose certificates they may show.
                SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(path))
            }
        case .folder(let path):
            guard SSL_CTX_load_verify_dir(context, path) == 1 else {
                throw failure("authorities in the folder \(path)")
            }
        }
        let mode =
            configuration.role == .client
            ? SSL_VERIFY_PEER : SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        SSL_CTX_set_verify(context, mode) { isGood, store in
            TLSWire.judged(isGood: isGood == 1, store)
            return isGood
        }
    }

    private static func wireForm(_ names: [String]) throws(TLSError) -> [UInt8] {
        var bytes: [UInt8] = []
        for name in names {
            guard let length = UInt8(exactly: name.utf8.count), length > 0 else {
                throw TLSError(
                    .configuration,
                    "\"\(name)\" is no protocol for ALPN: it needs 1 to 255 bytes")
            }
            bytes.append(length)
            bytes.append(contentsOf: name.utf8)
        }
        return bytes
    }

    /// The callbacks that need this object.
    private func prepare(_ context: OpaquePointer) {
        if configuration.role == .client, configuration.resumesSessions {
            sonde_tls_cache_client(context)
            SSL_CTX_sess_set_new_cb(context) { session, ticket in
                TLSWire.received(ticket: ticket, of: session)
            }
        }
        if configuration.role == .server, !protocols.isEmpty {
            // The context outlives its sessions, which hold it; see TLSMachine.
            let me = Unmanaged.passUnretained(self).toOpaque()
            SSL_CTX_set_alpn_select_cb(
                context,
                { _, chosen, chosenLength, offer, offerLength, me in
                    guard let me, let chosen, let chosenLength else { return SSL_TLSEXT_ERR_NOACK }
                    let ours = Unmanaged<TLSContext>.fromOpaque(me).takeUnretainedValue().protocols
                    return ours.withUnsafeBufferPointer { ours in
                        var selected: UnsafeMutablePointer<UInt8>?
                        let result = SSL_select_next_proto(
                            &selected, chosenLength, ours.baseAddress, UInt32(ours.count), offer,
                            offerLength)
                        guard result == OPENSSL_NPN_NEGOTIATED else {
                            return SSL_TLSEXT_ERR_ALERT_FATAL
                        }
                        chosen.pointee = UnsafePointer(selected)
                        return SSL_TLSEXT_ERR_OK
                    }
                }, me)
        }
    }

    /// The cause of what OpenSSL refused, in a sentence about `subject`.
    private static func failure(_ subject: String) -> TLSError {
        TLSError(.configuration, "\(subject): \(String(cString: sonde_tls_take_cause()))")
    }
}

@available(*, unavailable)
extension TLSContext: Sendable {}
