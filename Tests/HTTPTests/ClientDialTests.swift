import HTTPTypes
import Pacing
import Reactor
import Testing

@testable import HTTP

/// How a client finds a connection: under virtual time, in a network where any address does what
/// the test says.
@Suite struct ClientDialTests {
    private func server(_ loop: EventLoop) -> HTTPServer {
        HTTPServer(loop: loop) { $1.respond(status: 204) }
    }

    @Test("a dead first address costs a quarter of a second, and is let go of")
    func deadFirst() throws {
        try withVirtualClient { loop, client, network in
            let server = server(loop)
            network.hosts["10.0.0.2"] = .answers(server, after: .milliseconds(20))
            let start = loop.now
            var end: Instant?
            client.send(makeRequest("10.0.0.1_10.0.0.2_10.0.0.3")) { result in
                #expect((try? result.get())?.status == 204)
                end = loop.now
            }
            loop.advance(by: .seconds(60))
            #expect(end == start + .milliseconds(270))
            #expect(network.dialed == ["10.0.0.1", "10.0.0.2"])
            #expect(network.cancelled == ["10.0.0.1"])
            server.close()
        }
    }

    @Test("one that refuses costs nothing more; where all fail, the network's reason is told")
    func refusing() throws {
        try withVirtualClient { loop, client, network in
            let server = server(loop)
            network.hosts = [
                "10.0.0.1": .refuses(after: .milliseconds(1)),
                "10.0.0.2": .answers(server, after: .milliseconds(1)),
                "10.0.0.4": .refuses(after: .milliseconds(1)),
            ]
            let start = loop.now
            var ends: [Duration] = []
            client.send(makeRequest("10.0.0.1_10.0.0.2")) { _ in ends.append(loop.now - start) }
            loop.advance(by: .seconds(1))
            #expect(ends == [.milliseconds(2)])
            var failure: HTTPError?
            client.send(makeRequest("10.0.0.1_10.0.0.4")) {
                if case .failure(let error) = $0 { failure = error }
            }
            loop.advance(by: .seconds(1))
            #expect(failure?.description == "connect: connection refused")
            #expect(failure?.fault == .remote && client.connectionCount == 1)
            server.close()
        }
    }

    @Test("a dialer that knows at once completes no request before it has been sent")
    func atOnce() throws {
        try withVirtualClient { loop, client, network in
            network.hosts = ["10.0.0.1": .fails(-111), "10.0.0.2": .fails(-111)]
            var errors: [HTTPError] = []
            let call = client.send(makeRequest("10.0.0.1_10.0.0.2")) {
                if case .failure(let error) = $0 { errors.append(error) }
            }
            // One address, which is dialed while the call is still being made.
            client.send(makeRequest("10.0.0.1")) {
                if case .failure(let error) = $0 { errors.append(error) }
            }
            #expect(errors.isEmpty && call?.isDone == false)
            loop.settle()
            #expect(errors.count == 2)
            #expect(network.dialed.count == 3 && client.connectionCount == 0)
        }
    }

    @Test("an address that never answers is given up after the time to connect")
    func connectTimeout() throws {
        try withVirtualClient { loop, client, network in
            let start = loop.now
            var ended: (Duration, HTTPError)?
            client.send(makeRequest("10.0.0.1")) { result in
                if case .failure(let error) = result { ended = (loop.now - start, error) }
            }
            loop.advance(by: .seconds(60))
            #expect(ended?.0 == .seconds(10) && ended?.1.statusHint == 504)
        }
    }

    @Test("a scheme that nobody was given for is refused, and the known ones are named")
    func scheme() throws {
        try withVirtualClient { loop, client, _ in
            var failure: HTTPError?
            client.send(
                HTTPRequest(method: .get, scheme: "https", authority: "10.0.0.1", path: "/")
            ) { if case .failure(let error) = $0 { failure = error } }
            loop.settle()
            #expect(
                failure?.description
                    == "request cannot be sent: the scheme is https, only http is known here")
        }
    }

    @Test("what others did is told rather than what this machine lacks", arguments: [true, false])
    func telling(localFirst: Bool) throws {
        try withVirtualClient { loop, client, network in
            // EADDRNOTAVAIL is this machine's, as where it has no address of that family.
            let codes: [Int32] = localFirst ? [-99, -111] : [-111, -99]
            network.hosts = ["10.0.0.1": .fails(codes[0]), "10.0.0.2": .fails(codes[1])]
            var failure: HTTPError?
            client.send(makeRequest("10.0.0.1_10.0.0.2")) {
                if case .failure(let error) = $0 { failure = error }
            }
            loop.settle()
            #expect(network.dialed.count == 2 && failure?.fault == .remote)
            #expect(failure?.description == "connect: connection refused")
        }
    }

    @Test("from a source address, only addresses of its family are tried")
    func family() throws {
        var configuration = HTTPClientConfiguration()
        configuration.sourceAddress = SocketAddress("127.0.0.9:0")
        try withVirtualClient(configuration) { loop, client, network in
            client.resolve = { _, port, loop, completion in
                let addresses = ["fd00::1", "10.0.0.1", "fd00::2"].compactMap { IPAddress($0) }
                loop.enqueue {
                    completion(.success(addresses.map { SocketAddress($0, port: port) }))
                }
                return {}
            }
            client.send(makeRequest("many.test")) { _ in }
            loop.advance(by: .seconds(5))
            #expect(network.dialed == ["10.0.0.1"])
        }
    }

    @Test("one origin's limit holds up its own requests and nobody else's")
    func perOrigin() throws {
        var configuration = HTTPClientConfiguration()
        configuration.maximumConnectionsPerOrigin = 1
        try withVirtualClient(configuration) { loop, client, network in
            let server = server(loop)
            for host in ["10.0.0.1", "10.0.0.2"] {
                network.hosts[host] = .answers(server, after: .seconds(1))
            }
            var answered: [String] = []
            for host in ["10.0.0.1", "10.0.0.1", "10.0.0.2"] {
                client.send(makeRequest(host)) { _ in answered.append(host) }
            }
            #expect(client.connectionCount == 2)
            loop.advance(by: .seconds(2))
            #expect(answered == ["10.0.0.1", "10.0.0.1", "10.0.0.2"])
            #expect(network.dialed == ["10.0.0.1", "10.0.0.2"])
            server.close()
        }
    }
}
