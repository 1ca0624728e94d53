import JSONCodec
import Pacing
import Testing

@Suite struct WriterTests {
    private func written(escapesHTML: Bool = false, _ body: (inout JSONWriter) -> Void) -> String {
        var json = JSONWriter(escapesHTML: escapesHTML)
        body(&json)
        return String(decoding: json.bytes, as: UTF8.self)
    }

    @Test("commas stand between elements and members and nowhere else")
    func commas() {
        let text = written { json in
            json.beginObject()
            json.key("a")
            json.beginArray()
            json.integer(1)
            json.beginArray()
            json.endArray()
            json.beginObject()
            json.endObject()
            json.null()
            json.endArray()
            json.member("b", string: "x")
            json.member("c", bool: false)
            json.key("run\ttime")
            json.double(0.5)
            json.memberNull("d")
            json.member("e", integer: -7)
            json.member("f", double: 1e21)
            json.endObject()
        }
        #expect(
            text == #"{"a":[1,[],{},null],"b":"x","c":false,"run\ttime":0.5,"d":null,"e":-7,"#
                + #""f":1e+21}"#)
    }

    @Test("raw values are spliced as they stand, with their commas")
    func raw() {
        let part = #"[{"a":1}]"#.bytes
        let text = written { json in
            json.beginObject()
            for name in ["x", "y"] {
                json.key(name)
                part.withUnsafeBytes { json.raw($0) }
            }
            json.endObject()
        }
        #expect(text == #"{"x":[{"a":1}],"y":[{"a":1}]}"#)
    }

    @Test("everything that must be escaped is, at every place in a block of sixteen")
    func escapes() {
        let all = (0..<0x80).map { Character(Unicode.Scalar(UInt8($0))) }
        for lead in 0..<20 {
            let text = String(repeating: "x", count: lead) + String(all) + "é漢😀"
            let document = written { $0.string(text) }
            #expect(pull(document.bytes) == .accepted(.string(text)))
        }
        #expect(
            written { $0.string("\"\\/\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}") }
                == #""\"\\/\b\f\n\r\t\u0001\u001f"# + "\u{7f}\"")
    }

    @Test("the characters that matter to a page are escaped only when asked")
    func html() {
        let text = "<a href='x'>&\u{2028}\u{2029}\u{2027}\u{202a}â</a>"
        #expect(
            written(escapesHTML: true) { $0.string(text) }
                == #""\u003ca href='x'\u003e\u0026\u2028\u2029"# + "\u{2027}\u{202a}â"
                + #"\u003c/a\u003e""#)
        #expect(written { $0.string(text) } == "\"\(text)\"")
        // In the block scan as well as after it.
        let long = String(repeating: text, count: 5)
        let document = written(escapesHTML: true) { $0.string(long) }
        #expect(!document.contains { "<>&\u{2028}\u{2029}".contains($0) })
        #expect(pull(document.bytes) == .accepted(.string(long)))
    }

    @Test("bytes that are no UTF-8 become the replacement character")
    func notUTF8() {
        let text = written { json in
            ([0x61, 0xFF, 0x62] as [UInt8]).withUnsafeBytes { json.string(utf8: $0) }
        }
        #expect(text == "\"a\u{FFFD}b\"")
    }

    @Test("integers of every width are written to the last digit")
    func integers() {
        #expect(written { $0.integer(UInt64.max) } == "18446744073709551615")
        #expect(written { $0.integer(Int64.min) } == "-9223372036854775808")
        #expect(written { $0.integer(UInt8(9)) } == "9")
        #expect(written { $0.integer(Int16(-10)) } == "-10")
        var random = SeededRandom(seed: 4)
        for _ in 0..<10_000 {
            let value = Int64(bitPattern: random.next()) >> Int64.random(in: 0..<64, using: &random)
            #expect(written { $0.integer(value) } == String(value))
        }
    }

    @Test("doubles are written shortly and read back as the very same bits")
    func doubles() {
        var random = SeededRandom(seed: 5)
        var values: [Double] = [
            0, -0.0, 1, -1, 0.1, 1e15, 1e16, 9_007_199_254_740_991, 9_007_199_254_740_992, 1e22,
            1e23, .leastNonzeroMagnitude, .leastNormalMagnitude, .greatestFiniteMagnitude,
            123456.789, 1e-7,
        ]
        for _ in 0..<20_000 {
            values.append(Double(bitPattern: random.next()))
            values.append(Double(Int64.random(in: -(1 << 60)...(1 << 60), using: &random)) / 1e6)
            values.append(Double(Int64.random(in: -99_999...99_999, using: &random)) / 1000)
        }
        for value in values where value.isFinite {
            let document = written { $0.double(value) }.bytes
            document.withUnsafeBytes { bytes in
                var json = JSONReader(bytes)
                let read = Result { () throws(JSONError) in try json.readDouble() }
                #expect((try? read.get())?.bitPattern == value.bitPattern)
                #expect(json.offset == document.count)
            }
        }
        #expect(written { $0.double(100) } == "100")
        #expect(written { $0.double(-2.5) } == "-2.5")
        #expect(written { $0.double(1e16) } == "1e+16")
    }

    @Test("what JSON has no number for is null")
    func notFinite() {
        for value in [Double.nan, .infinity, -.infinity] {
            #expect(written { $0.double(value) } == "null")
        }
    }
}
