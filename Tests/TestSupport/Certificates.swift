import Foundation
import TLS
import Testing

/// The certificates of `Support/pki.sh`, made once for all tests that use them.
public final class Certificates: Sendable {
    private static let made = Result { try Certificates() }

    /// - Throws: where openssl is missing or fails.
    public static func shared() throws -> Certificates { try made.get() }

    private let folder: Folder

    private init() throws {
        folder = try Folder()
        let script = URL(fileURLWithPath: Program.script("Support/pki.sh"))
        let outcome = try Program.run([folder.path], executable: script)
        try #require(outcome.code == 0, "\(outcome.errors)")
        // Static objects see no end of their own.
        atexit {
            if let folder = try? Certificates.shared().folder {
                try? FileManager.default.removeItem(atPath: folder.path)
            }
        }
    }

    /// The path of a file of that folder: `ca.pem`, `server.key`.
    public func file(_ name: String) -> String { folder.path(name) }

    /// Certificate and key in one file, as haproxy reads them.
    public func whole(_ name: String = "server", in folder: Folder) throws -> String {
        let texts = try [file("\(name).pem"), file("\(name).key")].map {
            try String(contentsOfFile: $0, encoding: .utf8)
        }
        return try folder.file("\(name)-whole.pem", texts.joined())
    }

    /// `server.pem` with `server.key`, by the name that both have.
    public func identity(_ name: String) -> TLSConfiguration.Identity {
        .init(chainFile: file("\(name).pem"), keyFile: file("\(name).key"))
    }

    /// Of a client that believes this folder's authority.
    public func client(_ change: (inout TLSConfiguration) -> Void = { _ in }) throws -> TLSContext {
        var configuration = TLSConfiguration.client(trust: .file(file("ca.pem")))
        change(&configuration)
        return try TLSContext(configuration)
    }

    /// Of a server that shows the certificate of this name.
    public func server(
        _ name: String = "server", _ change: (inout TLSConfiguration) -> Void = { _ in }
    ) throws -> TLSContext {
        var configuration = TLSConfiguration.server(identity: identity(name))
        change(&configuration)
        return try TLSContext(configuration)
    }
}
