import TLS
@_exported import TestSupport

extension Certificates {
    func identity(_ name: String) -> TLSConfiguration.Identity {
        .init(chainFile: file("\(name).pem"), keyFile: file("\(name).key"))
    }

    func client(_ change: (inout TLSConfiguration) -> Void = { _ in }) throws -> TLSContext {
        var configuration = TLSConfiguration.client(trust: .file(file("ca.pem")))
        change(&configuration)
        return try TLSContext(configuration)
    }

    func server(
        _ name: String = "server", _ change: (inout TLSConfiguration) -> Void = { _ in }
    ) throws -> TLSContext {
        var configuration = TLSConfiguration.server(identity: identity(name))
        change(&configuration)
        return try TLSContext(configuration)
    }
}
