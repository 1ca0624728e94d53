import Pacing
import Reactor
import Testing

@Suite struct AddressTests {
    @Test(
        "addresses survive printing and parsing",
        arguments: [
            "0.0.0.0", "127.0.0.1", "255.255.255.255", "10.1.2.3", "::", "::1", "2001:db8::7",
            "fe80::1:2:3:4",
        ])
    func roundTrip(text: String) throws {
        let address = try #require(IPAddress(text))
        #expect(address.description == text)
        let socket = SocketAddress(address, port: 8080)
        #expect(SocketAddress(socket.description) == socket)
    }

    @Test(
        "anything but an address literal is refused",
        arguments: [
            "", "localhost", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "::1%lo", "[::1]",
            "1.2.3.4\0", "::1\0x",
        ])
    func invalid(text: String) {
        #expect(IPAddress(text) == nil)
    }

    @Test(
        "a socket address needs a port, and brackets around IPv6 alone",
        arguments: [
            "1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:+1", "::1:80", "[1.2.3.4]:80", "x:1",
        ])
    func invalidSocket(text: String) {
        #expect(SocketAddress(text) == nil)
    }

    @Test("an IPv4-mapped address is the IPv4 address")
    func mapped() {
        #expect(IPAddress("::ffff:10.0.0.1") == IPAddress("10.0.0.1"))
        #expect(SocketAddress(":9001") == SocketAddress(.anyV6, port: 9001))
    }

    @Test("a block contains exactly what shares its leading bits")
    func blocks() throws {
        let ten = try #require(CIDR("10.3.0.0/15"))
        #expect(ten.network == IPAddress("10.2.0.0"))
        #expect(ten.contains(IPAddress(v4: 0x0A02_0000)))
        #expect(ten.contains(IPAddress(v4: 0x0A03_FFFF)))
        #expect(!ten.contains(IPAddress(v4: 0x0A04_0000)))
        #expect(!ten.contains(.loopbackV6))
        let all = try #require(CIDR("0.0.0.0/0"))
        #expect(all.contains(.loopbackV4) && !all.contains(.loopbackV6))
        let six = try #require(CIDR("2001:db8:0:8000::/49"))
        #expect(six.contains(try #require(IPAddress("2001:db8:0:ffff::1"))))
        #expect(!six.contains(try #require(IPAddress("2001:db8:0:7fff::1"))))
        #expect(CIDR("10.0.0.7")?.prefixLength == 32)
        #expect(CIDR("::/0")?.contains(.loopbackV6) == true)
    }

    @Test(
        "a block that is not one is refused",
        arguments: [
            "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "x/8", "10.0.0.0/8/8",
        ])
    func invalidBlock(text: String) {
        #expect(CIDR(text) == nil)
    }

    @Test("an error reads as a person would say it")
    func errorText() throws {
        let error = UVError(operation: "connect", code: -111, address: SocketAddress("10.0.0.7:80"))
        #expect(error.description == "connect 10.0.0.7:80: connection refused")
        #expect(error.kind == .refused && !error.isLocal)
        #expect(UVError(operation: "connect", code: -24).isLocal)
    }
}
