import Foundation
import JSONCodec
import Pacing
import Telemetry
import Testing

@testable import NetworkPolicy

@Suite struct DocumentsTests {
    @Test("a list becomes one target for each entry, address and port, in its order")
    func targets() throws {
        let list = try read(
            """
            [{"addresses":["10.0.0.2","fd00::1"],"ports":[8080,443],"netpol":"a"},
             {"addresses":["10.0.0.3"],"ports":[1],"netpol":"b"},
             {"netpol":"a","ports":[65535],"addresses":["web.example"]}]
            """)
        #expect(
            describe(list) == [
                "0 10.0.0.2:8080 a", "0 10.0.0.2:443 a", "0 fd00::1:8080 a", "0 fd00::1:443 a",
                "1 10.0.0.3:1 b", "2 web.example:65535 a",
            ])
        #expect(list.policies == ["a", "b"])
        #expect(list.entryCount == 3)
        #expect(MemoryLayout<ConnectionList.Target>.stride == 16)
    }

    @Test(
        "empty lists are lists",
        arguments: [
            ("[]", 0), ("null", 0), (" [ ] ", 0), ("[{}]", 1), ("[null]", 1),
            (#"[{"addresses":null,"ports":null,"netpol":null}]"#, 1),
            (#"[{"addresses":[],"ports":[80],"netpol":"a"}]"#, 1),
            (#"[{"addresses":["::1"],"ports":[]}]"#, 1),
        ])
    func empty(_ document: String, _ entries: Int) throws {
        let list = try read(document)
        #expect(list.targets.isEmpty)
        #expect(list.policies.isEmpty)
        #expect(list.entryCount == entries)
    }

    @Test("keys are matched as Go matches them, and what is unknown is passed over")
    func lenient() throws {
        let list = try read(
            #"[{"x":{"ports":[1]},"ADDRESSES":["9.9.9.9"],"Ports":[80],"NetPol":"\u003ca\u003e","#
                + #""Addresses":["\u0031.2.3.4","[::1]"]}]"#)
        #expect(describe(list) == ["0 1.2.3.4:80 <a>", "0 ::1:80 <a>"])
    }

    @Test("an entry without a target keeps its place in the count of entries")
    func places() throws {
        let list = try read(
            #"[null,{"ports":[1]},{"addresses":["a"],"ports":[1],"netpol":"p"}]"#)
        #expect(describe(list) == ["2 a:1 p"])
    }

    @Test(
        "what is wrong is said with its place and what was expected there",
        arguments: [
            ("", "byte 0 ($): expected an array, found the end of the document"),
            ("{}", "byte 0 ($): expected an array, found an object"),
            ("[1]", "byte 1 ($[0]): expected an object, found a number"),
            (
                #"[{"ports":["80"]}]"#,
                #"byte 11 ($[0].ports[0]): expected a port from 1 to 65535, found "80""#
            ),
            (
                #"[{"ports":[8.5]}]"#,
                "byte 11 ($[0].ports[0]): "
                    + "expected an integer without fraction or exponent, found 8.5"
            ),
            (
                #"[{"addresses":["",7]}]"#,
                "byte 18 ($[0].addresses[1]): expected a string, found a number"
            ),
            (
                #"[{"addresses":"10.0.0.1"}]"#,
                "byte 14 ($[0].addresses): expected an array, found a string"
            ),
            (
                #"[{"netpol":7}]"#, "byte 11 ($[0].netpol): expected a string, found a number"
            ),
            ("[]x", "byte 2 ($): expected the end of the document, found 'x'"),
        ])
    func refused(_ document: String, _ description: String) {
        let error = #expect(throws: JSONError.self) { try read(document) }
        #expect(error?.description == description)
    }

    @Test("an address or port that leads nowhere is passed over and named, the rest stays")
    func skipped() throws {
        let list = try read(
            """
            [{"addresses":["","10.0.0.2","a b","http:\\u002f/a"],"ports":[8080],"netpol":"p"},
             {"addresses":["10.0.0.3"],"ports":[0,65536,-1,443],"netpol":"q"},
             {"netpol":"r","ports":[80],"addresses":[""]}]
            """)
        #expect(describe(list) == ["0 10.0.0.2:8080 p", "1 10.0.0.3:443 q"])
        #expect(list.entryCount == 3)
        #expect(
            list.skipped.listed.map(\.description) == [
                #"address "" (entry 0, policy "p")"#, #"address "a b" (entry 0, policy "p")"#,
                #"address "http://a" (entry 0, policy "p")"#, #"port "0" (entry 1, policy "q")"#,
                #"port "65536" (entry 1, policy "q")"#, #"port "-1" (entry 1, policy "q")"#,
                #"address "" (entry 2, policy "r")"#,
            ])
        #expect(list.skipped.counts == [.address: 4, .port: 3])
    }

    @Test("of a member given twice the last counts, also for what is passed over")
    func skippedTwice() throws {
        let list = try read(
            #"[{"addresses":[""],"ports":[0],"addresses":["::1"],"ports":[80],"netpol":"p"}]"#)
        #expect(describe(list) == ["0 ::1:80 p"])
        #expect(list.skipped.counts.isEmpty && list.skipped.listed.isEmpty)
    }

    @Test("however much is passed over, only the first hundred are kept, cut to a readable length")
    func skippedMany() throws {
        let long = String(repeating: "/", count: 300)
        let addresses = Array(repeating: #""\#(long)""#, count: 250).joined(separator: ",")
        let list = try read(#"[{"addresses":[\#(addresses)],"ports":[80]},{"ports":[0]}]"#)
        #expect(list.skipped.counts == [.address: 250, .port: 1])
        #expect(list.skipped.listed.count == 100)
        #expect(list.skipped.listed.allSatisfy { $0.value == String(long.prefix(64)) + "…" })
    }

    @Test("what is passed over is cut by its bytes, be it one letter with thousands of accents")
    func skippedGraphemes() throws {
        let accents = String(repeating: "\u{301}", count: 5000)
        let list = try read(
            #"[{"addresses":["!\#(accents)"],"ports":[1],"netpol":"é\#(accents)"}]"#)
        let entry = try #require(list.skipped.listed.first)
        // Accents of two bytes each: the 64th byte is the first half of one.
        #expect(entry.value.utf8.count == 63 + 3)
        #expect(entry.policy?.utf8.count == 64 + 3)
    }

    @Test("a small document cannot ask for more targets than the limit")
    func limit() {
        var limits = DocumentLimits()
        limits.targets = 100
        let addresses = Array(repeating: #""a""#, count: 11).joined(separator: ",")
        let ports = Array(repeating: "1", count: 9).joined(separator: ",")
        let entry = #"{"addresses":[\#(addresses)],"ports":[\#(ports)]}"#
        #expect(throws: Never.self) { try read("[\(entry)]", limits) }
        let error = #expect(throws: JSONError.self) { try read("[\(entry), \(entry)]", limits) }
        #expect(error?.offset == entry.utf8.count + 3)
        #expect(error?.expected == "at most 100 targets (addresses × ports) in a list")
    }

    private func whole(_ results: [ConnectionResult]) -> [UInt8] {
        let next = ConnectionResult.document(results)
        var bytes: [UInt8] = []
        while let piece = next() { bytes += piece }
        return bytes
    }

    @Test("a long list of results is made in pieces, which are one document")
    func pieces() throws {
        let results = (0..<2000).map {
            ConnectionResult(
                address: "10.0.0.2", port: 80, connectionIndex: $0, policy: "p",
                timestamp: WallClock(nanosecondsSinceEpoch: 0))
        }
        var made = 0
        let next = ConnectionResult.document(
            results.lazy.map {
                made += 1
                return $0
            })
        #expect(made == 0)
        let first = try #require(next())
        #expect((64 << 10..<80 << 10).contains(first.count))
        #expect(made < 1000)
        let read = try whole(results).withUnsafeBytes { try ConnectionResult.read($0) }
        #expect(read == results)
    }

    @Test("a result has the members of the wire document, in its order, and comes back whole")
    func result() throws {
        let result = ConnectionResult(
            address: "10.0.0.2", port: 8080, connectionIndex: 4, policy: "ingress-0-1",
            timestamp: WallClock(nanosecondsSinceEpoch: 1_795_234_498_646_170_820),
            connectedAt: WallClock(nanosecondsSinceEpoch: 1_795_234_498_646_000_000),
            notBefore: WallClock(nanosecondsSinceEpoch: 1_795_234_498_540_000_000), attempts: 12,
            connectTime: .microseconds(350), denied: nil)
        let document = whole([result])
        #expect(
            String(decoding: document, as: UTF8.self)
                == #"[{"address":"10.0.0.2","port":8080,"connectionidx":4,"#
                + #""npname":"ingress-0-1","timestamp":"2026-11-21T04:14:58.64617082Z","#
                + #""connectedat":"2026-11-21T04:14:58.646Z","#
                + #""notbefore":"2026-11-21T04:14:58.54Z","uncertaintyms":106.17082,"#
                + #""attempts":12,"connectms":0.35}]"# + "\n")
        #expect(try document.withUnsafeBytes { try ConnectionResult.read($0) } == [result])
        #expect(String(decoding: whole([]), as: UTF8.self) == "[]\n")
    }

    @Test("what is not known is null, and a denial names its kind")
    func unknown() throws {
        for kind in DenialKind.allCases {
            let result = ConnectionResult(
                address: "::1", port: 1, connectionIndex: 0, policy: "",
                timestamp: WallClock(nanosecondsSinceEpoch: 0), denied: kind)
            let document = whole([result])
            #expect(
                String(decoding: document, as: UTF8.self).hasSuffix(
                    #""connectedat":null,"notbefore":null,"uncertaintyms":null,"#
                        + #""attempts":null,"connectms":null,"#
                        + #""denied":"\#(kind.rawValue)"}]"# + "\n"))
            #expect(try document.withUnsafeBytes { try ConnectionResult.read($0) } == [result])
        }
    }

    @Test("results of older tools are read: another name for the index, fewer members, other case")
    func older() throws {
        let document =
            #"{"10.0.0.1":[{"Address":"10.0.0.2","Port":80,"IngressIdx":3,"NPName":"p","#
            + #""Timestamp":"2026-11-21T06:14:58+02:00","new":[1]}],"10.0.0.9":null,"x":[]}"#
        let clients = try document.bytes.withUnsafeBytes { try ConnectionResult.readByClient($0) }
        #expect(clients.map(\.client) == ["10.0.0.1", "10.0.0.9", "x"])
        #expect(
            clients[0].results == [
                ConnectionResult(
                    address: "10.0.0.2", port: 80, connectionIndex: 3, policy: "p",
                    timestamp: WallClock(nanosecondsSinceEpoch: 1_795_234_498_000_000_000))
            ])
        #expect(clients[1].results == [] && clients[2].results == [])
    }

    @Test(
        "results that say nothing, or something impossible, are refused",
        arguments: [
            (#"[{}]"#, "a result with address and timestamp"),
            (#"[{"address":"a"}]"#, "a result with address and timestamp"),
            (#"[{"timestamp":"now"}]"#, "an RFC 3339 time (a year of four digits)"),
            (#"[{"attempts":-1}]"#, "a number that is not negative"),
            (#"[{"connectms":-1}]"#, "a time in milliseconds"),
            (#"[{"denied":"maybe"}]"#, "drop, reset or unreachable"),
            (#"[{"port":99999}]"#, "a port from 1 to 65535"),
        ])
    func refusedResults(_ document: String, _ expected: String) {
        let error = #expect(throws: JSONError.self) {
            try document.bytes.withUnsafeBytes { try ConnectionResult.read($0) }
        }
        #expect(error?.expected == expected)
    }

    private func read(
        _ document: String, _ limits: DocumentLimits = DocumentLimits()
    ) throws(JSONError) -> ConnectionList {
        let bytes = document.bytes
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(JSONError) in try ConnectionList(reading: bytes, limits: limits) }
        }
        return try result.get()
    }

    private func describe(_ list: ConnectionList) -> [String] {
        list.targets.map {
            "\($0.entry) \(list.address(of: $0)):\($0.port) \(list.policy(of: $0))"
        }
    }
}

extension String {
    fileprivate var bytes: [UInt8] { Array(utf8) }
}
