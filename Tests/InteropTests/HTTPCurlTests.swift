import Foundation
import HTTP
import Testing

@Suite(.serialized, .enabled(if: Program.isInstalled("curl"), "curl is not installed"))
struct HTTPCurlTests {
    @Test("curl gets a page, over IPv4 and IPv6", arguments: ["127.0.0.1:0", "[::1]:0"])
    func get(listen: String) throws {
        try serve(to: "curl", listen: listen) {
            ["-sSg", "-w", "%{http_code} %{http_version}", "http://\($0)/hello"]
        } check: { outcome, _ in
            #expect(outcome.output == "hello\n200 1.1", "\(outcome.errors)")
        }
    }

    @Test("curl keeps its connection for a second request")
    func keepAlive() throws {
        try serve(to: "curl") {
            let url = "http://\($0)/hello"
            return ["-sS", "-w", "%{num_connects}\n", url, url, url]
        } check: { outcome, server in
            #expect(outcome.output == "hello\n1\nhello\n0\nhello\n0\n", "\(outcome.errors)")
            #expect(server.requestCount == 3)
        }
    }

    @Test("curl speaks HTTP/1.0")
    func oldVersion() throws {
        try serve(to: "curl") {
            ["-sS", "--http1.0", "-D", "-", "http://\($0)/chunks"]
        } check: { outcome, _ in
            #expect(outcome.output.contains("Connection: close\r\n"))
            #expect(!outcome.output.contains("chunked"))
            #expect(outcome.output.hasSuffix("\r\n\r\n" + TestSite.chunks), "\(outcome.errors)")
        }
    }

    @Test("curl reads chunks")
    func chunks() throws {
        try serve(to: "curl") {
            ["-sS", "http://\($0)/chunks"]
        } check: { outcome, _ in
            #expect(outcome.output == TestSite.chunks, "\(outcome.errors)")
        }
    }

    @Test("curl asks for the head only")
    func head() throws {
        try serve(to: "curl") {
            ["-sSI", "http://\($0)/hello"]
        } check: { outcome, _ in
            #expect(outcome.output.hasPrefix("HTTP/1.1 200 OK\r\n"), "\(outcome.errors)")
            #expect(outcome.output.contains("Content-Length: 6\r\n"))
        }
    }

    @Test("curl waits for 100 before it sends two megabytes, and gets them back")
    func expectContinue() throws {
        let folder = try Folder()
        let text = String(repeating: "0123456789abcdef", count: 131_072)
        let file = try folder.file("body", text)
        try serve(to: "curl") {
            [
                "-sSv", "-H", "Expect: 100-continue", "--expect100-timeout", "20",
                "--data-binary", "@\(file)", "http://\($0)/echo",
            ]
        } check: { outcome, _ in
            #expect(outcome.output == text)
            #expect(outcome.errors.contains("< HTTP/1.1 100 Continue"))
        }
    }

    @Test("curl uploads in chunks")
    func chunkedUpload() throws {
        let folder = try Folder()
        let text = String(repeating: "chunked upload ", count: 20_000)
        let file = try folder.file("body", text)
        try serve(to: "curl") {
            [
                "-sS", "-H", "Transfer-Encoding: chunked", "--data-binary", "@\(file)",
                "http://\($0)/echo",
            ]
        } check: { outcome, _ in
            #expect(outcome.output == text, "\(outcome.errors)")
        }
    }

    @Test("curl sees why it was refused, also while it is still sending")
    func refusals() throws {
        let folder = try Folder()
        let file = try folder.file("body", String(repeating: "x", count: 3_000_000))
        try serve(to: "curl") {
            [
                "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "http://\($0)/nothing", "--next",
                "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "-X", "DELETE",
                "http://\($0)/hello", "--next",
                "-sS", "-o", "/dev/null", "-w", "%{http_code}\n", "-H", "Expect:", "-T", file,
                "http://\($0)/small",
            ]
        } check: { outcome, _ in
            #expect(outcome.output == "404\n405\n413\n", "\(outcome.errors)")
        }
    }
}
