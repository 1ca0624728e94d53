import Pacing
import Reactor
import Telemetry
import Testing

@testable import EgressGateway

@Suite struct EgressTargetTests {
    @Test("addresses are taken as they are, names are looked up, mistakes are neither")
    func parsing() throws {
        for text in ["10.0.0.1:80", "[fd00::1]:1337"] {
            #expect(EgressTarget(text)?.address == SocketAddress(text))
            #expect(EgressTarget(text)?.description == text)
        }
        for text in ["localhost:80", "a-b.Example.:1", "x_1:65535", "4u:1"] {
            let target = try #require(EgressTarget(text))
            #expect(target.address == nil && target.description == text)
        }
        let wrong = [
            "", ":80", "host", "host:", "host:0", "host:65536", "host:http", "10.0.0:80", "1:2",
            "10.0.0.256:80", "a b:80", "http://a:80", "[name]:80", "fd00::1:80", ".:80", "a/b:1",
            String(repeating: "a.", count: 127) + ":1",
        ]
        for text in wrong { #expect(EgressTarget(text) == nil, "\(text)") }
    }

    @Test("of several addresses an IPv4 one is taken, or what the sources can reach")
    func choice() throws {
        let found = ["[fd00::1]:1", "[fd00::2]:1", "10.0.0.1:1", "10.0.0.2:1"]
            .compactMap { SocketAddress($0) }
        #expect(EgressTarget.choose(found, sources: []) == found[2])
        #expect(EgressTarget.choose(Array(found.prefix(2)), sources: []) == found[0])
        #expect(EgressTarget.choose(found, sources: [.loopbackV6]) == found[0])
        #expect(EgressTarget.choose(Array(found.prefix(2)), sources: [.loopbackV4]) == nil)
        #expect(EgressTarget.choose([], sources: []) == nil)
    }

    @Test("each moment keeps the wall clock's reading of its time; slow drift is followed")
    func wallClock() {
        let t0 = Instant(nanoseconds: 1_000_000_000_000)
        let noon = WallClock(nanosecondsSinceEpoch: 1_800_000_000_000_000_000)
        var record = WallClockRecord()
        #expect(record.wallClock(of: t0) == nil)
        record.note(noon, at: t0)
        record.note(noon + .seconds(10) + .microseconds(400), at: t0 + .seconds(10))
        // Somebody sets it back by an hour.
        record.note(noon + .seconds(-3580), at: t0 + .seconds(20))
        #expect(record.wallClock(of: t0 - .seconds(1)) == noon + .seconds(-1))
        #expect(record.wallClock(of: t0 + .seconds(10)) == noon + .seconds(10))
        #expect(record.wallClock(of: t0 + .seconds(20)) == noon + .seconds(-3580))
        #expect(record.wallClock(of: t0 + .seconds(25)) == noon + .seconds(-3575))
        for second in 21...5000 as ClosedRange<Int64> {
            record.note(
                noon + .seconds(second) + .milliseconds(second), at: t0 + .seconds(second))
        }
        let last = record.wallClock(of: t0 + .seconds(5000))
        #expect(last == noon + .seconds(5000) + .milliseconds(5000))
    }
}
