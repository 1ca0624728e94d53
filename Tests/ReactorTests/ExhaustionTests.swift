import Pacing
import Testing

@testable import Reactor

#if canImport(Glibc)
import Glibc
#else
import Darwin
#endif

/// In processes of their own: other tests must not find the descriptors gone.
@Suite struct ExhaustionTests {
    @Test("out of descriptors, the listener waits, and takes everyone once there are some again")
    func survivesExhaustion() async {
        await #expect(processExitsWith: .success) {
            alarm(30)  // ends this process should the listener never notice
            try withLoop { loop in
                var accepted = 0
                var listener: TCPListener?
                listener = try TCPListener(loop: loop, address: anyPort) { connection in
                    accepted += 1
                    connection.close()
                    if accepted == 8 {
                        listener?.close()
                        listener = nil
                    }
                }
                let address = try #require(listener?.localAddress)
                var connected = 0
                for _ in 0..<8 {
                    let client = TCPConnection(loop: loop)
                    client.onEnd = { client, error in
                        #expect(error == nil)
                        client.close()
                    }
                    client.connect(to: address) { client, result in
                        #expect(throws: Never.self) { try result.get() }
                        connected += 1
                        client.resumeReading()
                    }
                }
                // All descriptors are taken before the loop gets to accept the first of them.
                let spare = takeAllDescriptors(limit: 400)
                while listener?.starvations == 0 { loop.runOnce() }
                #expect(accepted == 0)
                for descriptor in spare { close(descriptor) }
                loop.run()
                #expect(accepted == 8 && connected == 8)
            }
        }
    }

    @Test("out of descriptors, a listener with no connection at all still keeps its loop running")
    func starvedListenerKeepsLoop() async {
        await #expect(processExitsWith: .success) {
            alarm(30)
            try withLoop { loop in
                var accepted = 0
                var listener: TCPListener?
                listener = try TCPListener(loop: loop, address: anyPort) { connection in
                    accepted += 1
                    connection.close()
                    listener?.close()
                    listener = nil
                }
                let address = try #require(listener?.localAddress)
                // The peer is no business of the loop's.
                let peer = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
                var target = sockaddr_in()
                target.sin_family = sa_family_t(AF_INET)
                target.sin_port = address.port.bigEndian
                target.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
                let code = withUnsafePointer(to: target) {
                    $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        connect(peer, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                    }
                }
                #expect(code == 0)
                let spare = takeAllDescriptors(limit: 400)
                while listener?.starvations == 0 { loop.runOnce() }
                #expect(accepted == 0)
                // Without the loop's knowledge, so it has to try again by itself.
                for descriptor in spare { close(descriptor) }
                loop.run()
                #expect(accepted == 1)
            }
        }
    }

    @Test("a listener that cannot accept any more pauses instead of spinning")
    func brokenListener() throws {
        try withLoop { loop in
            let listener = try TCPListener(loop: loop, address: anyPort) { _ in
                Issue.record("accepted")
            }
            // Accepting now fails with an error that is there again at once.
            shutdown(listener.descriptor, Int32(SHUT_RDWR))
            for _ in 0..<3 { loop.runOnce(wait: listener.starvations == 0) }
            #expect(listener.starvations == 1)
            listener.close()
        }
    }
}

/// Lowers the process's limit of open files and opens as many as it still allows.
private func takeAllDescriptors(limit: rlim_t) -> [Int32] {
    var limits = rlimit()
    #if canImport(Glibc)
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    let resource = RLIMIT_NOFILE
    #endif
    getrlimit(resource, &limits)
    limits.rlim_cur = min(limit, limits.rlim_max)
    setrlimit(resource, &limits)
    var taken: [Int32] = []
    while true {
        let descriptor = dup(0)
        if descriptor < 0 { return taken }
        taken.append(descriptor)
    }
}
