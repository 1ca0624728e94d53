import JSONCodec
import Testing

@Suite struct ReaderTests {
    @Test("a document is read by the code that knows it, and strings are borrowed from it")
    func borrowed() throws {
        let document = #"{"Addresses":["10.0.0.2"],"x":{"y":[1]},"PORTS":[8080]}"#.bytes
        try document.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            var address: JSONText?
            var ports: [Int64] = []
            try json.beginObject()
            while let key = try json.nextKey() {
                if key.matches("addresses") {
                    try json.beginArray()
                    while try json.nextElement() { address = try json.readString() }
                } else if key.matches("ports") {
                    try json.beginArray()
                    while try json.nextElement() { ports.append(try json.readInteger()) }
                } else {
                    let raw = try json.skipValue()
                    #expect(String(decoding: raw, as: UTF8.self) == #"{"y":[1]}"#)
                }
            }
            try json.endDocument()
            let text = try #require(address)
            #expect(text.string == "10.0.0.2")
            #expect(text.raw.baseAddress == bytes.baseAddress?.advanced(by: 15))
            #expect(ports == [8080])
        }
    }

    @Test(
        "keys match whatever the case of their ASCII letters, escaped or not",
        arguments: [
            (#""netpol""#, true), (#""NetPol""#, true), (#""\u006eetpol""#, true),
            (#""\u004eetpo\u006c""#, true), (#""netpo""#, false), (#""netpoll""#, false),
            (#""netpo\u006c\u006c""#, false), (#""n\u0065tpo""#, false), (#""nétpol""#, false),
            (#""ne\u00f4pol""#, false),
        ])
    func keys(_ key: String, _ matches: Bool) throws {
        try key.bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            let text = try json.readString()
            #expect(text.matches("netpol") == matches)
        }
    }

    @Test("@ and ` differ by the bit that makes letters small, and are still not the same key")
    func notLetters() throws {
        try #""@[""#.bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            let text = try json.readString()
            #expect(!text.matches("`{"))
        }
    }

    @Test(
        "integers are exact to the last of their 64 bits and refused beyond",
        arguments: [
            ("9223372036854775807", Int64.max), ("-9223372036854775808", Int64.min),
            ("9007199254740993", 9_007_199_254_740_993), ("-0", 0),
            ("9223372036854775808", nil), ("-9223372036854775809", nil),
            ("18446744073709551617", nil), ("100000000000000000000", nil),
            ("1.0", nil), ("1e3", nil),
        ] as [(String, Int64?)])
    func integers(_ text: String, _ value: Int64?) {
        text.bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            do throws(JSONError) {
                let read = try json.readInteger()
                #expect(read == value)
            } catch {
                #expect(value == nil)
                #expect(error.offset == 0)
                #expect(error.found == text)
            }
        }
    }

    @Test("a number too large for a double is refused, one too small is zero")
    func extremes() throws {
        "1e400".bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            #expect(throws: JSONError.self) { try json.readDouble() }
        }
        try "-1e-400".bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            let value = try json.readDouble()
            #expect(value == 0 && value.sign == .minus)
        }
    }

    @Test(
        "an error says where, what was expected, and what is there",
        arguments: [
            (
                #"[{"ports":[80,"x"]}]"#,
                #"byte 14 ($[0].ports[1]): expected an integer, found a string"#
            ),
            (
                #"[{},{"ports":[80,80.5]}]"#,
                "byte 17 ($[1].ports[1]): expected an integer without fraction or exponent, "
                    + "found 80.5"
            ),
            (#"[{"ports":80}]"#, "byte 10 ($[0].ports): expected an array, found a number"),
            (#"[{"ports":[80}]"#, "byte 13 ($[0].ports[0]): expected ',' or ']', found '}'"),
            ("[[]]", "byte 1 ($[0]): expected an object, found an array"),
            ("[", "byte 1 ($[0]): expected a value or ']', found the end of the document"),
            ("{}", "byte 0 ($): expected an array, found an object"),
            ("[{\"ports\" \u{1}", "byte 10 ($[0].ports): expected ':', found byte 0x01"),
        ])
    func errors(_ document: String, _ description: String) {
        document.bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes)
            let error = #expect(throws: JSONError.self) {
                try json.beginArray()
                while try json.nextElement() {
                    try json.beginObject()
                    while try json.nextKey() != nil {
                        try json.beginArray()
                        while try json.nextElement() { _ = try json.readInteger() }
                    }
                }
                try json.endDocument()
            }
            #expect(error?.description == description)
        }
    }

    @Test("keys that are no plain names stand in brackets in a path, long ones are cut")
    func paths() {
        let long = String(repeating: "k", count: 50)
        #expect(pull(#"{"10.0.0.1":[0,x]}"#.bytes).error?.path == #"$["10.0.0.1"][1]"#)
        #expect(pull(#"{"a\"]":{"b":x}}"#.bytes).error?.path == #"$["a\"]"].b"#)
        #expect(pull("{\"\(long)\":x}".bytes).error?.path == "$.\(long.prefix(40))…")
    }

    @Test("nesting is limited, 64 levels by default, whether read, skipped or streamed")
    func depth() {
        func nested(_ depth: Int) -> [UInt8] {
            (String(repeating: #"[{"k":"#, count: depth / 2) + "0"
                + String(repeating: "}]", count: depth / 2)).bytes
        }
        #expect(skip(nested(64)) == nil)
        #expect(pull(nested(64)).error == nil)
        let error = pull(nested(66)).error
        #expect(error?.expected == "at most 64 levels of nesting")
        #expect(error?.offset == 32 * 6)
        #expect(skip(nested(66)) == error)
        #expect(stream(nested(66)) { 5 } == error?.withoutPath)
    }

    @Test("beyond 64 levels every bracket still has to be closed by its own kind")
    func deepKinds() throws {
        // The kinds follow the bits of a number, so that each level differs from its neighbours.
        let kinds = (0..<300).map { ($0 * 2_654_435_761) >> 7 & 1 == 1 }
        let opening = kinds.map { $0 ? #"{"":"# : "[" }.joined()
        let closing = kinds.reversed().map { $0 ? "}" : "]" }
        let good = (opening + "0" + closing.joined()).bytes
        good.withUnsafeBytes { bytes in
            var json = JSONReader(bytes, depthLimit: 300)
            #expect(throws: Never.self) { try json.skipValue() }
        }
        for wrong in [0, 100, 171, 172, 173, 235, 236, 237, 299] {
            var brackets = closing
            brackets[wrong] = brackets[wrong] == "}" ? "]" : "}"
            let bad = (opening + "0" + brackets.joined()).bytes
            bad.withUnsafeBytes { bytes in
                var json = JSONReader(bytes, depthLimit: 300)
                let error = #expect(throws: JSONError.self) { try json.skipValue() }
                #expect(error?.offset == opening.utf8.count + 1 + wrong)
            }
        }
    }

    @Test("skipping inside containers counts the levels around it")
    func depthOfSkipped() {
        "[[[[0]]]]".bytes.withUnsafeBytes { bytes in
            var json = JSONReader(bytes, depthLimit: 3)
            let error = #expect(throws: JSONError.self) {
                try json.beginArray()
                _ = try json.nextElement()
                try json.skipValue()
            }
            #expect(error?.offset == 3)
            #expect(error?.expected == "at most 3 levels of nesting")
        }
    }

    @Test("an empty buffer without an address is an empty document")
    func noAddress() {
        var json = JSONReader(UnsafeRawBufferPointer(start: nil, count: 0))
        let error = #expect(throws: JSONError.self) { try json.skipValue() }
        #expect(error?.description == "byte 0 ($): expected a value, found the end of the document")
    }
}
