import JSONCodec
import Testing

struct Service: Equatable {
    var name = ""
    var port: Int64 = 0
}

func readServices(_ bytes: UnsafeRawBufferPointer) throws(JSONError) -> [Service] {
    var services: [Service] = []
    var json = JSONReader(bytes)
    try json.beginArray()
    while try json.nextElement() {
        var service = Service()
        try json.beginObject()
        while let key = try json.nextKey() {
            if key.matches("name") {
                service.name = try json.readString().string
            } else if key.matches("port") {
                service.port = try json.readInteger()
            } else {
                try json.skipValue()
            }
        }
        services.append(service)
    }
    try json.endDocument()
    return services
}

func writeServices(_ services: [Service]) -> [UInt8] {
    var json = JSONWriter()
    json.beginArray()
    for service in services {
        json.beginObject()
        json.member("name", string: service.name)
        json.member("port", integer: service.port)
        json.endObject()
    }
    json.endArray()
    return json.bytes
}

/// The code of the article "Read and write a document".
@Suite struct TutorialTests {
    @Test("what is written is read again, and what is not known is skipped")
    func roundTrip() throws {
        let services = [Service(name: "web", port: 80), Service(name: "api", port: 443)]
        let written = writeServices(services)
        #expect(try written.withUnsafeBytes(readServices) == services)
        let more = Array(#"[{"tags":[{},1],"port":7}]"#.utf8)
        #expect(try more.withUnsafeBytes(readServices) == [Service(name: "", port: 7)])
    }

    @Test("an error says where and why")
    func wrong() {
        let text = Array(#"[{"port":80},{"port":"80"}]"#.utf8)
        let error = #expect(throws: JSONError.self) { try text.withUnsafeBytes(readServices) }
        #expect(error?.description == "byte 21 ($[1].port): expected an integer, found a string")
    }
}
