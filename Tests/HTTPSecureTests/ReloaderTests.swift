import Foundation
import HTTPSecure
import Pacing
import Reactor
import TLS
import Testing

/// Certificates that change while they are in use.
@Suite struct ReloaderTests {
    @Test func `Files are read again within a minute of their change, and only then`() throws {
        let certificates = try Certificates.shared()
        let folder = try Folder()
        func put(_ name: String, _ ending: String) throws {
            let text = try String(
                contentsOfFile: certificates.file("\(name).\(ending)"), encoding: .utf8)
            _ = try folder.file("own.\(ending)", text)
        }
        try put("server", "pem")
        try put("server", "key")
        try withVirtualLoop { loop in
            let context = try TLSContext(
                .server(
                    identity: .init(
                        chainFile: folder.path("own.pem"), keyFile: folder.path("own.key"))))
            var told: [TLSError?] = []
            let reloader = TLSReloader(loop: loop, context: context) { told.append($0) }
            loop.advance(by: .seconds(300))
            #expect(told.isEmpty)
            // Half of a pair: it goes on with the old one, and says so once.
            try put("other", "pem")
            loop.advance(by: .seconds(300))
            #expect(told.count == 1)
            #expect(told.first??.description.contains("is not that of the certificate") == true)
            try put("other", "key")
            loop.advance(by: .seconds(60))
            #expect(told.count == 2)
            #expect(told.last == .some(nil))
            // A file that is gone is a change as well.
            try FileManager.default.removeItem(atPath: folder.path("own.key"))
            loop.advance(by: .seconds(120))
            #expect(told.count == 3 && told.last??.kind == .configuration)
            reloader.close()
        }
    }
}
