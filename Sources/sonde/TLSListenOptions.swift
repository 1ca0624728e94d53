import ArgumentParser
import Instrument
import Logging
import Reactor
import TLS

/// TLS on all that a role serves by HTTP.
struct TLSListenOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Serve HTTP, metrics included, over TLS, with this certificate and those behind it \
            (PEM); read again within a minute after it has changed (default: without TLS).
            """, valueName: "file"))
    var cert: String?

    @Option(help: ArgumentHelp("The key of --cert (PEM).", valueName: "file"))
    var key: String?

    @Option(
        help: ArgumentHelp(
            """
            Answer only clients with a certificate of these authorities (PEM). Kubelets have none: \
            their probes then fail.
            """, valueName: "file"))
    var clientCaFile: String?

    func validate() throws { try ListeningFiles(cert, key, clientCaFile).check() }

    func security(_ loop: EventLoop, _ logger: Logger) throws -> ServerSecurity? {
        try ListeningFiles(cert, key, clientCaFile).security(loop, logger)
    }
}

/// The same for roles that may show a certificate where they dial, too: of their metrics only.
struct TLSMetricsOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            """
            Serve them over TLS, with this certificate and those behind it (PEM); read again \
            within a minute after it has changed (default: without TLS).
            """, valueName: "file"))
    var metricsCert: String?

    @Option(help: ArgumentHelp("The key of --metrics-cert (PEM).", valueName: "file"))
    var metricsKey: String?

    @Option(
        help: ArgumentHelp(
            "Answer only clients with a certificate of these authorities (PEM).",
            valueName: "file"))
    var metricsClientCaFile: String?

    var isGiven: Bool { metricsCert != nil }

    func validate() throws { try files.check() }

    func security(_ loop: EventLoop, _ logger: Logger) throws -> ServerSecurity? {
        try files.security(loop, logger)
    }

    private var files: ListeningFiles {
        ListeningFiles(metricsCert, metricsKey, metricsClientCaFile, prefix: "--metrics-")
    }
}

/// What both have in common.
private struct ListeningFiles {
    let certificate: String?
    let key: String?
    let clients: String?
    let prefix: String

    init(_ certificate: String?, _ key: String?, _ clients: String?, prefix: String = "--") {
        self.certificate = certificate
        self.key = key
        self.clients = clients
        self.prefix = prefix
    }

    func check() throws {
        if (certificate == nil) != (key == nil) {
            let (given, missing) = certificate == nil ? ("key", "cert") : ("cert", "key")
            throw ValidationError(
                "\(prefix)\(given): expected \(prefix)\(missing) together with it")
        }
        if clients != nil, certificate == nil {
            throw ValidationError(
                "\(prefix)client-ca-file: has no meaning without \(prefix)cert and \(prefix)key")
        }
    }

    /// Nil where no certificate is given: OpenSSL then is not so much as initialised.
    /// - Throws: ``Failure`` (66) with the file that cannot be used.
    func security(_ loop: EventLoop, _ logger: Logger) throws -> ServerSecurity? {
        guard let certificate, let key else { return nil }
        do throws(TLSError) {
            return try ServerSecurity(
                loop: loop, logger: logger, identity: .init(chainFile: certificate, keyFile: key),
                clientAuthorities: clients)
        } catch {
            throw Failure.input("\(error)")
        }
    }
}
