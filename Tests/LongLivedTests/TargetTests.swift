import Pacing
import Reactor
import Testing

@testable import LongLived

@Suite struct TargetTests {
    @Test(
        "a target is host, port and path",
        arguments: [
            ("http://pods:5000/a?b=c", "pods", 5000, "pods:5000", "/a?b=c"),
            ("http://pods", "pods", 80, "pods", "/"),
            ("HTTP://[::1]:81", "::1", 81, "[::1]:81", "/"),
            ("http://[::1]/x", "::1", 80, "[::1]", "/x"),
            ("http://10.0.0.1?q", "10.0.0.1", 80, "10.0.0.1", "/?q"),
        ])
    func target(text: String, host: String, port: UInt16, authority: String, path: String) throws {
        let target = try #require(HoldTarget(text))
        #expect(target.host == host && target.port == port)
        #expect(target.authority == authority && target.path == path)
        let request = String(decoding: target.request, as: UTF8.self)
        #expect(request.hasPrefix("GET \(path) HTTP/1.1\r\nHost: \(authority)\r\n"))
        #expect(request.hasSuffix("\r\n\r\n"))
    }

    @Test(
        "what is no such target is refused",
        arguments: [
            "pods:5000", "https://pods", "http://", "http:///a", "http://a b/", "http://a/b c",
            "http://user@pods/", "http://pods:0", "http://pods:99999", "http://::1/",
            "http://[pods]/", "http://[::1", "http://pods/#x", "http://pods:/", "http://a\r\nb/",
        ])
    func refused(text: String) {
        #expect(HoldTarget(text) == nil)
    }

    @Test("a loopback target takes as many sources as it needs; others, and few connections, none")
    func spread() throws {
        let target = try #require(HoldTarget("http://localhost"))
        var configuration = HoldClientConfiguration(target: target)
        configuration.connections = 19_000
        #expect(
            configuration.loopbackSources(for: .loopbackV4).map(\.description)
                == ["127.0.0.1", "127.0.0.2"])
        #expect(configuration.loopbackSources(for: .loopbackV6) == [])
        #expect(configuration.loopbackSources(for: IPAddress(v4: 0x0A00_0001)) == [])
        configuration.connections = 10_000
        #expect(configuration.loopbackSources(for: .loopbackV4) == [])
    }

    private let v4 = [1, 2].map { SocketAddress(IPAddress(v4: 0x0A00_0000 + $0), port: 80) }
    private let v6 = SocketAddress(.loopbackV6, port: 80)

    @Test("addresses of one family, in turn, from the first on")
    func rotation() {
        var book = AddressBook(sources: [])
        #expect(book.take() == nil)
        book.update(v4 + [v6])
        #expect((0..<3).compactMap { _ in book.take() } == [v4[0], v4[1], v4[0]])
        book.connected()
        book.update([v4[1]])
        #expect(book.take() == v4[1] && book.take() == v4[1])
        #expect(book.dialFailed(v4[1]) == false)
        // The family that answers stays, whatever the system prefers by now.
        book.update([v6] + v4)
        #expect(book.take() == v4[0])
        book.update([v6])
        #expect(book.take() == v6)
    }

    @Test("while nobody has answered a failed dial turns to the other family, which is no failure")
    func families() {
        var book = AddressBook(sources: [])
        book.update([v6, v4[0]])
        #expect(book.take() == v6 && book.dialFailed(v6))
        #expect(book.dialFailed(v6) == true)  // one that was under way
        #expect(book.take() == v4[0])
        // Nobody there either: that one counts, and the first is looked at again.
        #expect(!book.dialFailed(v4[0]) && book.take() == v6)
        book.connected()
        #expect(!book.dialFailed(v6) && book.take() == v6)
    }

    @Test("the sources' family is the only one")
    func sources() {
        var book = AddressBook(sources: [.loopbackV4])
        book.update([v6])
        #expect(book.take() == nil)
        book.update([v6, v4[0]])
        #expect(book.take() == v4[0] && !book.dialFailed(v4[0]))
    }
}
