import Foundation
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
}
