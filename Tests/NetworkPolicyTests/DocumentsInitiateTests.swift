import JSONCodec
import Pacing
import Testing

@testable import NetworkPolicy

@Suite struct DocumentsInitiateTests {
    @Test("each client's list is found as it was written, whatever it contains")
    func slices() throws {
        let first = #"[ {"addresses":["10.1.0.1"],"future":{"a":[1e3,"é"]},"ports":[80]} ]"#
        let document =
            #"{ "10.0.0.1": \#(first), "fd00::2":[],"[fd00::3]":null,"127.0.0.1:9100":"#
            + #"[{}], "[::1]:9200" : [] }"#
        let initiate = try split(document)
        #expect(
            initiate.parts.map(\.client) == [
                "10.0.0.1", "fd00::2", "[fd00::3]", "127.0.0.1:9100", "[::1]:9200",
            ])
        #expect(
            initiate.parts.map(\.address.description) == [
                "10.0.0.1:9001", "[fd00::2]:9001", "[fd00::3]:9001", "127.0.0.1:9100", "[::1]:9200",
            ])
        let bytes = Array(document.utf8)
        let lists = initiate.parts.map { String(decoding: bytes[$0.list], as: UTF8.self) }
        #expect(lists == [first, "[]", "null", "[{}]", "[]"])
    }

    @Test("an empty object and null name no client")
    func empty() throws {
        #expect(try split("{}").parts.isEmpty)
        #expect(try split(" null ").parts.isEmpty)
    }

    @Test("of a client named twice the last list counts")
    func twice() throws {
        let document = #"{"10.0.0.1":[],"10.0.0.2":[],"10.0.0.1":[{}]}"#
        let initiate = try split(document)
        #expect(initiate.parts.map(\.client) == ["10.0.0.1", "10.0.0.2"])
        #expect(initiate.parts[0].list == 40..<44)
    }

    @Test(
        "what is wrong is said with its place, also inside a list",
        arguments: [
            ("", "byte 0 ($): expected an object, found the end of the document"),
            ("[]", "byte 0 ($): expected an object, found an array"),
            (
                #"{"":[1,}}"#,
                "byte 7 ($[\"\"][1]): expected a value, found '}'"
            ),
            (
                #"{"10.0.0.1":{}}"#,
                #"byte 12 ($["10.0.0.1"]): expected an array, found an object"#
            ),
            (
                #"{"10.0.0.1":[{"ports":["80"]}]}"#,
                #"byte 23 ($["10.0.0.1"][0].ports[0]): expected a port from 1 to 65535, found "80""#
            ),
            (
                #"{"10.0.0.1":[],}"#,
                #"byte 15 ($): expected a key in quotes, found '}'"#
            ),
        ])
    func refused(_ document: String, _ description: String) {
        let error = #expect(throws: JSONError.self) { try split(document) }
        #expect(error?.description == description)
    }

    @Test("a client that has no address is passed over and named, the others get their lists")
    func skipped() throws {
        let document =
            #"{"":[{"addresses":["10.1.0.1"],"ports":[80]}],"10.0.0.1":[{"addresses":["","#
            + #""10.1.0.1"],"ports":[80],"netpol":"p"}],"pod-1":[],":80":[],"10.0.0.1:0":null}"#
        let initiate = try split(document)
        #expect(initiate.parts.map(\.client) == ["10.0.0.1"])
        let list = String(decoding: Array(document.utf8)[initiate.parts[0].list], as: UTF8.self)
        #expect(list == #"[{"addresses":["","10.1.0.1"],"ports":[80],"netpol":"p"}]"#)
        #expect(
            initiate.skipped.listed.map(\.description) == [
                #"client """#, #"address "" (client 10.0.0.1, entry 0, policy "p")"#,
                #"client "pod-1""#, #"client ":80""#, #"client "10.0.0.1:0""#,
            ])
        #expect(initiate.skipped.counts == [.client: 4, .address: 1])
    }

    @Test("the limit of targets is each list's own")
    func limit() {
        var limits = DocumentLimits()
        limits.targets = 2
        let list = #"[{"addresses":["a"],"ports":[1,2]}]"#
        let more = #"[{"addresses":["a"],"ports":[1,2]},{"addresses":["a"],"ports":[1]}]"#
        #expect(throws: Never.self) {
            try split(#"{"10.0.0.1":\#(list),"10.0.0.2":\#(list)}"#, limits)
        }
        #expect(throws: JSONError.self) { try split(#"{"10.0.0.1":\#(more)}"#, limits) }
    }

    private func split(
        _ document: String, _ limits: DocumentLimits = DocumentLimits()
    ) throws(JSONError) -> InitiateDocument {
        let bytes = Array(document.utf8)
        let result = bytes.withUnsafeBytes { bytes in
            Result { () throws(JSONError) in
                try InitiateDocument(splitting: bytes, defaultPort: 9001, limits: limits)
            }
        }
        return try result.get()
    }
}
