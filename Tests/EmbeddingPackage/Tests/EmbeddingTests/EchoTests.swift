import Embedding
import Pacing
import Reactor
import Testing

@Suite struct EchoTests {
    private let anyPort = SocketAddress(.loopbackV4, port: 0)

    @Test("many clients get back what they sent, and the loop closes with nothing left open")
    func echoes() throws {
        let loop = try EventLoop()
        let service = try EchoService(loop: loop, address: anyPort)
        var answered = 0
        for number in 0..<20 {
            // From a byte to a megabyte: what a socket takes at once, and what it does not.
            let message = [UInt8](repeating: UInt8(number), count: 1 << number)
            EchoClient.send(message, to: service.address, loop: loop, deadline: .seconds(5)) {
                result in
                #expect((try? result.get()) == message, "\(message.count) bytes: \(result)")
                answered += 1
                if answered == 20 { service.close() }
            }
        }
        loop.run()
        #expect(answered == 20)
        #expect(service.clientCount == 0)
        try loop.close()
    }

    @Test("nobody there is told as a person would say it")
    func refused() throws {
        let loop = try EventLoop()
        let service = try EchoService(loop: loop, address: anyPort)
        let address = service.address
        service.close()
        var told = ""
        EchoClient.send([1], to: address, loop: loop, deadline: .seconds(5)) { result in
            if case .failure(let error) = result { told = "\(error)" }
        }
        loop.run()
        #expect(told == "connect \(address): connection refused")
        try loop.close()
    }

    @Test("a client that stays silent is dropped after its time")
    func idle() throws {
        let loop = try EventLoop()
        let service = try EchoService(
            loop: loop, address: anyPort, idleTimeout: .milliseconds(20))
        let silent = TCPConnection(loop: loop)
        var reason: UVError?
        silent.onEnd = { silent, error in
            reason = error
            silent.close()
            service.close()
        }
        silent.connect(to: service.address) { silent, _ in silent.resumeReading() }
        loop.run()
        #expect(reason?.kind == .reset)
        try loop.close()
    }
}
