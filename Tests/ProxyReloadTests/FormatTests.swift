import Pacing
import Testing

@testable import ProxyReload

/// Rows, URLs and events as text.
@Suite struct FormatTests {
    private func csv(
        _ row: RequestRecord, _ name: String? = nil, event: Int = 0
    ) -> String {
        written { format in
            guard let name else { return format.csv(row, name: nil, event: event) }
            Array(name.utf8).withUnsafeBytes { format.csv(row, name: $0, event: event) }
        }
    }

    private func written(
        _ body: (inout RowFormat) -> Void, _ unit: CSVUnit = .microseconds
    ) -> String {
        let memory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: RowFormat.longestRow, alignment: 1)
        defer { memory.deallocate() }
        guard let base = memory.baseAddress else { return "" }
        var format = RowFormat(base, unit: unit)
        body(&format)
        #expect(format.count <= RowFormat.longestRow)
        return String(decoding: memory[..<format.count], as: UTF8.self)
    }

    private let row = RequestRecord(
        nanoseconds: 2_031_245_999, latencyNanoseconds: 412_345, client: 3,
        outcome: RequestOutcome(status: 200), instance: 0, frontPort: 41234, backPort: 5)

    @Test("a row has microseconds and ports; what is not known is empty")
    func rows() {
        #expect(csv(row, "b", event: 2) == "2031245,3,200,b,41234,5,412,2\n")
        #expect(csv(row) == "2031245,3,200,,41234,5,412,\n")
        let refused = RequestRecord(
            nanoseconds: 0, latencyNanoseconds: 999, client: 0, outcome: .refused)
        #expect(csv(refused) == "0,0,connection refused,,,,0,\n")
    }

    @Test("in milliseconds a row says the same, to the microsecond")
    func milliseconds() {
        func csv(_ row: RequestRecord) -> String {
            written({ $0.csv(row, name: nil, event: 0) }, .milliseconds)
        }
        #expect(csv(row) == "2031.245,3,200,,41234,5,0.412,\n")
        let first = RequestRecord(
            nanoseconds: 7_000, latencyNanoseconds: 60_012_000_999, client: 0, outcome: .refused)
        #expect(csv(first) == "0.007,0,connection refused,,,,60012.000,\n")
    }

    @Test("the widest numbers and the longest name fit into a row")
    func widest() {
        let widest = RequestRecord(
            nanoseconds: .max, latencyNanoseconds: .max, client: .max, outcome: .connectTimedOut,
            instance: 9, frontPort: .max, backPort: .max)
        let name = String(repeating: "\"", count: 5000)
        let quoted = "\"" + String(repeating: "\"\"", count: RowFormat.longestName) + "\""
        #expect(
            csv(widest, name, event: .max)
                == "9223372036854775,9223372036854775807,connect timed out,\(quoted),65535,65535,"
                + "9223372036854775,9223372036854775807\n")
    }

    @Test(
        "names are quoted where RFC 4180 wants it",
        arguments: [
            ("plain-1.2_x", "plain-1.2_x"), ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\twords", "\"two\twords\""), ("pöd", "pöd"), ("with space", "with space"),
        ])
    func quoting(name: String, field: String) {
        #expect(csv(row, name) == "2031245,3,200,\(field),41234,5,412,\n")
    }

    @Test(
        "every number of digits comes out whole",
        arguments: [0, 9, 10, 99, 100, 999, 1000, 99_999, 100_000, 9_999_999, 10_000_000])
    func digits(value: Int64) {
        let row = RequestRecord(
            nanoseconds: value * 1000, latencyNanoseconds: value * 1000, client: Int(value),
            outcome: RequestOutcome(status: 503), instance: nil)
        #expect(csv(row) == "\(value),\(value),503,,,,\(value),\n")
    }

    @Test("a line of text says the same, without control characters")
    func text() {
        let full = written { format in
            Array("b\u{1B}[2J".utf8).withUnsafeBytes { format.text(row, name: $0) }
        }
        #expect(full == "2.031245 s client 3: 200 from b?[2J, front 41234, back 5, 412 us\n")
        let failed = RequestRecord(
            nanoseconds: 7_000, latencyNanoseconds: 31_000, client: 12, outcome: .reset)
        #expect(
            written { $0.text(failed, name: nil) }
                == "0.000007 s client 12: connection reset, 31 us\n")
    }

    @Test(
        "URLs are taken apart",
        arguments: [
            ("http://localhost:8080/", "localhost", 8080, "/", "localhost:8080"),
            ("http://10.0.0.1", "10.0.0.1", 80, "/", "10.0.0.1"),
            ("HTTP://Proxy.example/a/b?c=d&e", "Proxy.example", 80, "/a/b?c=d&e", "Proxy.example"),
            ("http://[::1]:81?x=1#top", "::1", 81, "/?x=1", "[::1]:81"),
            ("http://[fd00::7]/", "fd00::7", 80, "/", "[fd00::7]"),
        ])
    func url(text: String, host: String, port: UInt16, target: String, authority: String) throws {
        let url = try BenchURL(text)
        #expect(url.host == host && url.port == port)
        #expect(url.target == target && url.authority == authority)
    }

    @Test(
        "what is no such URL is refused",
        arguments: [
            "", "localhost:8080", "ftp://x/", "http://", "http:///x", "http://a:0/",
            "http://a:99999/",
            "http://a:b/", "http://a:/", "http://::1/", "http://[::1/", "http://[1.2.3.4]/",
            "http://me@host/", "http://host/a b", "http://host/\u{7}", "http://höst/",
            "http://a:-1/",
        ])
    func badURL(text: String) {
        #expect(throws: BenchURL.Problem.malformed) { try BenchURL(text) }
    }

    @Test("https is refused by name")
    func https() {
        for text in ["https://localhost/", "HTTPS://x"] {
            #expect(throws: BenchURL.Problem.https) { try BenchURL(text) }
        }
    }

    @Test("an event is a time, an equals sign and a command, which may hold others")
    func events() {
        #expect(
            ScheduledCommand("2s=nginx -s reload")
                == ScheduledCommand(after: .seconds(2), command: "nginx -s reload"))
        #expect(
            ScheduledCommand("0s=A=1 env") == ScheduledCommand(after: .zero, command: "A=1 env"))
        for text in ["", "2s", "2s=", "2s=  ", "=x", "2=x", "-1s=x", "soon=x"] {
            #expect(ScheduledCommand(text) == nil, "\(text)")
        }
    }

    @Test("figures are rounded to three decimals")
    func figures() {
        #expect(BenchText.milliseconds(412_499) == "0.412 ms")
        #expect(BenchText.milliseconds(412_500) == "0.413 ms")
        #expect(BenchText.seconds(2_031_245_999) == "2.031 s")
        #expect(BenchText.seconds(999_999_999) == "1.000 s")
        #expect(BenchText.milliseconds(-1_500_000) == "-1.500 ms")
        #expect(BenchText.milliseconds(.max).hasSuffix(" ms"))
        #expect(BenchText.left("abcdef", 4) == "abc…" && BenchText.left("ab", 4) == "ab  ")
    }
}
