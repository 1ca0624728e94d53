import COpenSSL
import Pacing

/// One TLS connection: bytes and time in, bytes and news out. OpenSSL does the cryptography; it
/// sees no socket, no clock of ours, and no file after its context was made.
///
///     state         event                         next          actions
///     idle          start                         handshaking   – (client: transmit)
///     handshaking   bytes                         handshaking   transmit where there is an answer
///     handshaking   the last of its bytes         open          established, transmit
///     handshaking   write                         handshaking   – (kept until established)
///     handshaking   deadline                      failed        failed(timedOut)
///     handshaking   a certificate not believed    failed        failed, transmit (an alert)
///     open          bytes                         open          – (plaintext)
///     open          write                         open          transmit
///     open          the peer's close alert        half-closed   peerClosed
///     open          endWriting                    write-closed  transmit (our close alert)
///     write-closed  bytes                         write-closed  – (plaintext)
///     write-closed  the peer's close alert        closed        peerClosed
///     half-closed   endWriting                    closed        transmit (our close alert)
///     open, …       close                         closed        transmit (our close alert)
///     open, write-… end of input, no close alert  failed        failed(truncated)
///     any           bytes that break the rules    failed        failed, transmit (an alert)
///
/// `transmit` says that ``takeOutput()`` has bytes for the connection. Nothing is lost when they
/// are sent late; they must be sent in order.
public struct TLSMachine: ~Copyable {
    /// What happened, or is to be done.
    public enum Action: Equatable, Sendable {
        /// Send what ``takeOutput()`` gives.
        case transmit
        /// Both sides are sure of each other; what was written meanwhile goes out now.
        case established(TLSSession)
        /// The peer has sent its close alert: it will send nothing more, and nothing is missing.
        case peerClosed
        /// The connection is of no use any more. Alerts that say so are to be sent before it ends.
        case failed(TLSError)
    }

    private enum State {
        case idle, handshaking(until: Instant), open, halfClosed, writeClosed, closed, failed
    }

    private let context: TLSContext
    private let session: OpaquePointer
    private let wire: TLSWire
    private var state = State.idle
    /// Written before the handshake was over.
    private var early: [UInt8] = []

    /// - Parameters:
    ///   - peer: the host, and the port behind a colon; sentences name it, and a client resumes
    ///     its sessions by it. For a server, whatever names the client.
    ///   - serverName: whom a client wants: a DNS name (sent as SNI) or an address as text. The
    ///     certificate must be for it. Nil leaves both out.
    /// - Throws: ``TLSError`` (`configuration`) when OpenSSL has no memory, or the name is none.
    public init(
        context: TLSContext, peer: String, serverName: String? = nil
    ) throws(TLSError) {
        let wire = TLSWire(peer: peer, serverName: serverName, context: context)
        session = try TLSMachine.makeSession(context, wire, serverName)
        self.context = context
        self.wire = wire
    }

    deinit {
        if case .failed = state {} else { keepSession() }
        SSL_free(session)
    }

    /// Without its close alert OpenSSL takes a session for broken, and forgets its ticket, which a
    /// cut of the connection, by either side, does not deserve (RFC 5246 §7.2.1).
    private func keepSession() { SSL_set_shutdown(session, SSL_SENT_SHUTDOWN) }

    private static func makeSession(
        _ context: TLSContext, _ wire: TLSWire, _ serverName: String?
    ) throws(TLSError) -> OpaquePointer {
        ERR_clear_error()
        guard let session = SSL_new(context.raw) else { throw TLSContext.outOfMemory }
        guard let bio = BIO_new(context.wireMethod) else {
            SSL_free(session)
            throw TLSContext.outOfMemory
        }
        BIO_set_data(bio, Unmanaged.passUnretained(wire).toOpaque())
        SSL_set_bio(session, bio, bio)  // the session owns it now
        if context.configuration.role == .server {
            SSL_set_accept_state(session)
            return session
        }
        SSL_set_connect_state(session)
        if let serverName, !isNamed(session, serverName) {
            SSL_free(session)
            throw TLSError(.configuration, "\"\(serverName)\" is no name of a server")
        }
        if !context.protocols.isEmpty {
            _ = SSL_set_alpn_protos(
                session, context.protocols, UInt32(clamping: context.protocols.count))
        }
        if let earlier = context.takeSession(for: wire.sessionKey) {
            SSL_set_session(session, earlier)
            SSL_SESSION_free(earlier)
        }
        return session
    }

    /// Has the certificate looked at for this name or address, and asks the server for it.
    private static func isNamed(_ session: OpaquePointer, _ name: String) -> Bool {
        let parameters = SSL_get0_param(session)
        X509_VERIFY_PARAM_set_hostflags(parameters, UInt32(X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS))
        // An address is verified as one, and has no place in SNI (RFC 6066 §3).
        if X509_VERIFY_PARAM_set1_ip_asc(parameters, name) == 1 { return true }
        ERR_clear_error()
        return !name.isEmpty && SSL_set1_host(session, name) == 1
            && sonde_tls_set_server_name(session, name) == 1
    }

    /// When ``tick(now:_:)`` wants to be called; nil when nothing waits for time.
    public var nextDeadline: Instant? {
        if case .handshaking(let deadline) = state { return deadline }
        return nil
    }

    /// Whether both sides are sure of each other and this one may still write.
    public var isOpen: Bool {
        switch state {
        case .open, .halfClosed: true
        default: false
        }
    }

    /// Bytes that are to be sent and were not taken.
    public var unsentBytes: Int { wire.output.count }

    /// The bytes to send, which are the caller's from now on.
    public mutating func takeOutput() -> [UInt8] {
        var output: [UInt8] = []
        swap(&output, &wire.output)
        return output
    }

    /// Hands the bytes to send over, borrowed for the length of the call, without memory of their
    /// own for each time.
    public mutating func sendOutput<Outcome>(
        _ body: (UnsafeRawBufferPointer) -> Outcome
    ) -> Outcome {
        var output = takeOutput()
        defer { context.recycle(&output) }
        return output.withUnsafeBytes(body)
    }

    // MARK: - Events

    /// The connection stands: the handshake begins.
    public mutating func start(now: Instant, _ actions: inout [Action]) {
        guard case .idle = state else { return }
        state = .handshaking(until: now + context.configuration.handshakeTimeout)
        handshake(&actions)
        transmit(&actions)
    }

    /// Bytes from the peer. Their content is appended to `plaintext`, which the actions follow:
    /// what came before a failure is good.
    public mutating func received(
        _ bytes: UnsafeRawBufferPointer, now: Instant, into plaintext: inout [UInt8],
        _ actions: inout [Action]
    ) {
        switch state {
        case .handshaking, .open, .writeClosed: break
        case .idle, .halfClosed, .closed, .failed: return
        }
        wire.input = bytes
        defer { wire.input = UnsafeRawBufferPointer(start: nil, count: 0) }
        if case .handshaking = state { handshake(&actions) }
        switch state {
        case .open, .writeClosed: read(into: &plaintext, &actions)
        default: break
        }
        transmit(&actions)
    }

    /// The connection has ended, whoever ended it.
    public mutating func inputEnded(_ actions: inout [Action]) {
        switch state {
        case .handshaking:
            fail(.init(.truncated, "\(wire.peer) closed the connection in the handshake"), &actions)
        case .open, .writeClosed:
            keepSession()
            fail(
                .init(.truncated, "\(wire.peer) closed the connection without saying so in TLS"),
                &actions)
        case .idle, .halfClosed, .closed, .failed: break
        }
    }

    /// Content for the peer; kept until the handshake is over, dropped after the end.
    public mutating func write(_ bytes: UnsafeRawBufferPointer, _ actions: inout [Action]) {
        switch state {
        case .idle, .handshaking: early.append(contentsOf: bytes)
        case .open, .halfClosed:
            encrypt(bytes, &actions)
            transmit(&actions)
        case .writeClosed, .closed, .failed: break
        }
    }

    /// Says that nothing more will be sent; what the peer still sends is received.
    public mutating func endWriting(_ actions: inout [Action]) {
        guard isOpen else { return }
        let peerIsDone = if case .halfClosed = state { true } else { false }
        close(&actions)
        if !peerIsDone { state = .writeClosed }
    }

    /// Says that nothing more will be sent (RFC 8446 §6.1). The connection is to be closed after
    /// writing; one in its handshake has nothing to say.
    public mutating func close(_ actions: inout [Action]) {
        if isOpen {
            sonde_tls_forget_errors()
            SSL_shutdown(session)
            transmit(&actions)
        }
        if case .failed = state { return }
        state = .closed
    }

    /// Calls time; calling it late is harmless.
    public mutating func tick(now: Instant, _ actions: inout [Action]) {
        guard case .handshaking(let deadline) = state, now >= deadline else { return }
        let limit = context.configuration.handshakeTimeout
        fail(.init(.timedOut, "no TLS handshake with \(wire.peer) within \(limit)"), &actions)
    }

    // MARK: - Private

    private mutating func handshake(_ actions: inout [Action]) {
        sonde_tls_forget_errors()
        let result = SSL_do_handshake(session)
        guard result != 1 else {
            state = .open
            actions.append(.established(agreement()))
            let waiting = early
            early = []
            waiting.withUnsafeBytes { encrypt($0, &actions) }
            return
        }
        if SSL_get_error(session, result) != SSL_ERROR_WANT_READ { failByOpenSSL(&actions) }
    }

    private mutating func read(into plaintext: inout [UInt8], _ actions: inout [Action]) {
        while true {
            sonde_tls_forget_errors()
            let count = SSL_read(
                session, context.scratch.baseAddress, Int32(context.scratch.count))
            if count > 0 {
                plaintext.append(
                    contentsOf: UnsafeRawBufferPointer(
                        rebasing: context.scratch[..<Int(count)]))
                // Asked once more it would only say that it wants more.
                if wire.input.isEmpty, SSL_has_pending(session) == 0 { return }
                continue
            }
            switch SSL_get_error(session, count) {
            case SSL_ERROR_WANT_READ: return
            case SSL_ERROR_ZERO_RETURN:
                if case .writeClosed = state { state = .closed } else { state = .halfClosed }
                return actions.append(.peerClosed)
            default: return failByOpenSSL(&actions)
            }
        }
    }

    private mutating func encrypt(_ bytes: UnsafeRawBufferPointer, _ actions: inout [Action]) {
        var rest = bytes
        while !rest.isEmpty {
            sonde_tls_forget_errors()
            let count = SSL_write(session, rest.baseAddress, Int32(clamping: rest.count))
            // The wire takes everything, so that only a broken session refuses.
            guard count > 0 else { return failByOpenSSL(&actions) }
            rest = UnsafeRawBufferPointer(rebasing: rest[Int(count)...])
        }
    }

    private func transmit(_ actions: inout [Action]) {
        if !wire.output.isEmpty { actions.append(.transmit) }
    }

    private mutating func fail(_ error: TLSError, _ actions: inout [Action]) {
        if case .failed = state { return }
        state = .failed
        early = []
        actions.append(.failed(error))
    }

    private mutating func failByOpenSSL(_ actions: inout [Action]) {
        let code = sonde_tls_take_error()
        fail(wire.verdict ?? HandshakeVerdict.error(code: code, peer: wire.peer), &actions)
    }

    private func agreement() -> TLSSession {
        var name: UnsafePointer<UInt8>?
        var length: UInt32 = 0
        SSL_get0_alpn_selected(session, &name, &length)
        let certificate = sonde_tls_peer_certificate(session)
        defer { X509_free(certificate) }
        return TLSSession(
            version: TLSConfiguration.Version(rawValue: SSL_version(session)) ?? .tls12,
            cipher: String(cString: sonde_tls_cipher(session)),
            applicationProtocol: name.map {
                String(decoding: UnsafeBufferPointer(start: $0, count: Int(length)), as: UTF8.self)
            },
            isResumed: SSL_session_reused(session) == 1,
            serverName: SSL_get_servername(session, TLSEXT_NAMETYPE_host_name).map {
                String(cString: $0)
            },
            peerNames: certificate.map { CertificateVerdict.names($0) } ?? "")
    }
}
