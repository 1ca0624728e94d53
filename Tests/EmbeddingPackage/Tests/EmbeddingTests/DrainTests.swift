import Embedding
import Pacing
import Reactor
import Testing

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

@Suite struct DrainTests {
    @Test("a service that is told to end has nothing left open")
    func drains() throws {
        try DrainingService.run(
            on: SocketAddress(.loopbackV4, port: 0), grace: .seconds(5)
        ) { address in
            #expect(address.port != 0)
            kill(getpid(), SIGTERM)
        }
    }
}
