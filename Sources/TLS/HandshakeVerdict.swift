import COpenSSL

/// Why OpenSSL gave a connection up, in a sentence; certificates have their own.
enum HandshakeVerdict {
    static func error(code: UInt, peer: String) -> TLSError {
        guard code != 0, sonde_tls_error_is_ssl(code) != 0 else {
            return TLSError(.protocolViolation, "\(peer) broke the rules of TLS\(reason(code))")
        }
        let number = sonde_tls_error_reason(code)
        // Alerts of the peer are counted from there (ssl.h).
        if (SSL_AD_REASON_OFFSET..<SSL_AD_REASON_OFFSET + 256).contains(number) {
            return alert(number - SSL_AD_REASON_OFFSET, peer)
        }
        switch number {
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST,
            SSL_R_PACKET_LENGTH_TOO_LONG, SSL_R_BAD_RECORD_TYPE:
            return TLSError(.protocolViolation, "\(peer) does not speak TLS\(reason(code))")
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_NO_SHARED_CIPHER, SSL_R_NO_PROTOCOLS_AVAILABLE,
            SSL_R_VERSION_TOO_LOW, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
            SSL_R_NO_SUITABLE_KEY_SHARE, SSL_R_NO_APPLICATION_PROTOCOL:
            return TLSError(.nothingInCommon, "nothing in common with \(peer)\(reason(code))")
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return TLSError(.certificate, "\(peer) showed no certificate, which is asked of it")
        default:
            return TLSError(.protocolViolation, "\(peer) broke the rules of TLS\(reason(code))")
        }
    }

    /// An alert from the peer (RFC 8446 §6.2).
    private static func alert(_ number: Int32, _ peer: String) -> TLSError {
        switch number {
        case SSL_AD_CERTIFICATE_REQUIRED:
            return TLSError(.refused, "\(peer) wants a client certificate: give --cert and --key")
        case SSL_AD_UNKNOWN_CA:
            return TLSError(.refused, "\(peer) does not know the issuer of our certificate")
        case SSL_AD_BAD_CERTIFICATE, SSL_AD_UNSUPPORTED_CERTIFICATE, SSL_AD_CERTIFICATE_REVOKED,
            SSL_AD_CERTIFICATE_EXPIRED, SSL_AD_CERTIFICATE_UNKNOWN:
            return TLSError(.refused, "\(peer) does not accept our certificate\(name(number))")
        case SSL_AD_UNRECOGNIZED_NAME:
            return TLSError(.refused, "\(peer) has no certificate for the name it was asked for")
        case SSL_AD_PROTOCOL_VERSION, SSL_AD_NO_APPLICATION_PROTOCOL,
            SSL_AD_INSUFFICIENT_SECURITY:
            return TLSError(.nothingInCommon, "nothing in common with \(peer)\(name(number))")
        case SSL_AD_HANDSHAKE_FAILURE:
            return TLSError(
                .refused,
                "\(peer) broke the handshake off: no cipher in common, or it wants a "
                    + "client certificate")
        default:
            return TLSError(.refused, "\(peer) broke TLS off\(name(number))")
        }
    }

    private static func name(_ alert: Int32) -> String {
        SSL_alert_desc_string_long(alert).map { " (alert: \(String(cString: $0)))" } ?? ""
    }

    private static func reason(_ code: UInt) -> String {
        ERR_reason_error_string(code).map { " (\(String(cString: $0)))" } ?? ""
    }
}
