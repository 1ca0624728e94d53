import COpenSSL

/// What is wrong with a certificate, in a sentence that says what to do.
enum CertificateVerdict {
    static func error(code: Int32, certificate: OpaquePointer?, peer: String) -> TLSError {
        let whose = "certificate of \(peer)"
        switch code {
        case X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH:
            return TLSError(
                .wrongHost, "\(whose) is for \(names(certificate)), not for \(host(peer))")
        case X509_V_ERR_CERT_HAS_EXPIRED:
            return TLSError(
                .expired, "\(whose) expired on \(date(certificate, ofEnd: true))")
        case X509_V_ERR_CERT_NOT_YET_VALID:
            return TLSError(
                .expired,
                "\(whose) is valid only from \(date(certificate, ofEnd: false)): is a clock wrong?")
        case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN,
            X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
            X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
            return TLSError(
                .unknownIssuer,
                "\(whose): issuer unknown (\(issuer(certificate))): give --ca-file")
        default:
            let reason = X509_verify_cert_error_string(Int(code)).map { String(cString: $0) }
            return TLSError(.certificate, "\(whose): \(reason ?? "error \(code)")")
        }
    }

    /// The names that a certificate is for, printable.
    static func names(_ certificate: OpaquePointer?) -> String {
        let text = text { sonde_tls_certificate_names(certificate, $0, $1) }
        return text.isEmpty ? "nobody by name" : text
    }

    private static func issuer(_ certificate: OpaquePointer?) -> String {
        text { sonde_tls_certificate_issuer(certificate, $0, $1) }
    }

    private static func text(_ write: (UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { buffer in
            guard let start = buffer.baseAddress else { return "" }
            start.initialize(to: 0)
            write(start, buffer.count)
            return String(cString: start)
        }
    }

    private static func date(_ certificate: OpaquePointer?, ofEnd end: Bool) -> String {
        var fields: [Int32] = Array(repeating: 0, count: 6)
        guard let certificate, sonde_tls_certificate_date(certificate, end ? 1 : 0, &fields) == 1
        else { return "an unknown date" }
        func two(_ value: Int32) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(fields[0])-\(two(fields[1]))-\(two(fields[2])) "
            + "\(two(fields[3])):\(two(fields[4])):\(two(fields[5])) UTC"
    }

    /// `api:443` without its port.
    private static func host(_ peer: String) -> Substring {
        guard let colon = peer.lastIndex(of: ":"), peer[..<colon].last != ":" else {
            return peer[...]
        }
        return peer[..<colon]
    }
}
