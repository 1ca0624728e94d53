import Reactor
import TLS
import Testing

/// A reverse proxy of others that speaks TLS.
enum Proxy: String, CaseIterable, Sendable {
    case nginx, haproxy

    /// What it is to do.
    struct Rules {
        let certificates: Certificates
        /// Its own, with the files that it needs.
        let folder: Folder
        let version: TLSConfiguration.Version
        /// What it shows: a server must, a client may.
        var shows: String? = "server"
        /// As a server.
        var asksForCertificate = false

        init(_ certificates: Certificates, _ version: TLSConfiguration.Version) throws {
            self.certificates = certificates
            folder = try Folder()
            self.version = version
        }
        var authority: String { certificates.file("ca.pem") }
    }

    var isInstalled: Bool { Program.isInstalled(rawValue) }

    /// How it tells in an answer that a session is new, and that it is resumed.
    var isResumed: [String] { self == .nginx ? [".", "r"] : ["0", "1"] }

    /// How it calls a version.
    func name(_ version: TLSConfiguration.Version) -> String {
        version == .tls12 ? "TLSv1.2" : "TLSv1.3"
    }

    /// A configuration that answers every request over TLS with the version and whether the session
    /// is resumed; `PORT` and `FOLDER` stand for themselves.
    func server(_ rules: Rules) throws -> String {
        let shows = try #require(rules.shows)
        let identity = rules.certificates.identity(shows)
        let version = name(rules.version)
        switch self {
        case .nginx:
            let clients =
                rules.asksForCertificate
                ? "ssl_verify_client on; ssl_client_certificate \(rules.authority);" : ""
            return """
                server {
                    listen 127.0.0.1:PORT ssl;
                    ssl_certificate \(identity.chainFile);
                    ssl_certificate_key \(identity.keyFile);
                    ssl_protocols \(version);
                    \(clients)
                    location / { return 200 "$ssl_protocol $ssl_session_reused\\n"; }
                }
                """
        case .haproxy:
            let whole = try rules.certificates.whole(shows, in: rules.folder)
            let clients =
                rules.asksForCertificate ? "verify required ca-file \(rules.authority)" : ""
            return """
                frontend front
                    bind 127.0.0.1:PORT ssl crt \(whole) alpn http/1.1 \
                        ssl-min-ver \(version) ssl-max-ver \(version) \(clients)
                    http-request return status 200 content-type text/plain \
                        lf-string "%sslv %[ssl_fc_is_resumed]\\n"

                """
        }
    }

    /// A configuration that hands every request on over TLS to this port, and verifies who it is.
    func client(_ rules: Rules, of port: UInt16) throws -> String {
        let version = name(rules.version)
        switch self {
        case .nginx:
            let shown =
                rules.shows.map {
                    """
                    proxy_ssl_certificate \(rules.certificates.file("\($0).pem"));
                    proxy_ssl_certificate_key \(rules.certificates.file("\($0).key"));
                    """
                } ?? ""
            return """
                server {
                    listen 127.0.0.1:PORT;
                    location / {
                        proxy_pass https://127.0.0.1:\(port);
                        proxy_ssl_name localhost;
                        proxy_ssl_server_name on;
                        proxy_ssl_verify on;
                        proxy_ssl_trusted_certificate \(rules.authority);
                        proxy_ssl_protocols \(version);
                        \(shown)
                    }
                }
                """
        case .haproxy:
            let shown =
                try rules.shows.map { "crt \(try rules.certificates.whole($0, in: rules.folder))" }
                ?? ""
            return """
                frontend front
                    bind 127.0.0.1:PORT
                    default_backend back
                backend back
                    retries 0
                    server site 127.0.0.1:\(port) ssl verify required ca-file \(rules.authority) \
                        sni str(localhost) alpn http/1.1 \
                        ssl-min-ver \(version) ssl-max-ver \(version) \(shown)

                """
        }
    }

    /// Starts it on a free port of `loop`'s machine; `body` gets the port and what ends it.
    func run(
        on loop: EventLoop, _ folder: Folder, _ configuration: String,
        _ body: @escaping (UInt16, _ end: @escaping () -> Void) -> Void,
        completion: @escaping () -> Void
    ) throws {
        let port = try freePort(loop)
        let text =
            configuration
            .split(separator: "PORT", omittingEmptySubsequences: false).joined(separator: "\(port)")
        let file = try folder.file("configuration", complete(text, folder))
        let arguments =
            self == .nginx
            ? ["-c", file, "-p", folder.path, "-e", "stderr"] : ["-db", "-f", file]
        let program = try Running(rawValue, arguments, loop: loop) { outcome in
            #expect(isEnded(outcome), "\(rawValue) ended itself: \(outcome.errors)")
            _ = folder  // it goes when the program has ended
            completion()
        }
        loop.when(program, listensAt: SocketAddress(.loopbackV4, port: port)) {
            body(port) { program.terminate() }
        }
    }

    private func complete(_ text: String, _ folder: Folder) -> String {
        if self == .nginx { return NGINX.configuration(folder, text) }
        return """
            global
                # Each thread has sessions of its own.
                nbthread 1
            defaults
                mode http
                timeout connect 5s
                timeout client 20s
                timeout server 20s
            \(text)
            """
    }
}
