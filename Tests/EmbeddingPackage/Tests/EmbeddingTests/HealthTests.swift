import Embedding
import Pacing
import Reactor
import Testing

/// Real clients against an endpoint whose loop is the guest of a poll loop: nothing ever calls
/// `run()`.
@Suite struct HealthTests {
    @Test(
        "curl is answered twice on one connection",
        .enabled(if: Child.isInstalled("curl"), "curl is not installed"))
    func curl() throws {
        try withEndpoint { endpoint, host in
            let url = "http://\(endpoint.address)/healthz"
            let child = try Child(
                "curl", "-sS", "--max-time", "10", "-w", "%{http_code} %{num_connects}\n", url, url,
                host: host)
            try run(child, on: host)
            #expect(child.output == "ok\n200 1\nok\n200 0\n")
            #expect(child.wait() == 0)
        }
    }

    @Test(
        "python reads the problem, and that there is no such page",
        .enabled(if: Child.isInstalled("python3"), "python3 is not installed"))
    func urllib() throws {
        try withEndpoint { endpoint, host in
            endpoint.problem = "disk full"
            let script = """
                import sys, urllib.error, urllib.request
                for path in "/healthz", "/elsewhere":
                    try:
                        urllib.request.urlopen(sys.argv[1] + path, timeout=10)
                    except urllib.error.HTTPError as error:
                        print(error.code, error.read().decode().strip())
                """
            let child = try Child(
                "python3", "-c", script, "http://\(endpoint.address)", host: host)
            try run(child, on: host)
            #expect(child.output.hasPrefix("503 disk full\n404 "))
            #expect(child.wait() == 0)
        }
    }

    @Test("while nothing happens the host may sleep, and a guest with nothing open never wakes it")
    func sleeps() throws {
        let loop = try EventLoop()
        let service = try EchoService(loop: loop, address: SocketAddress(.loopbackV4, port: 0))
        #expect(loop.backendTimeout == .zero, "the listener is not in the descriptor before a turn")
        loop.runOnce(wait: false)
        #expect(loop.backendTimeout == nil)
        service.close()
        #expect(loop.backendTimeout == .zero)
        #expect(!loop.runOnce(wait: false))
        #expect(loop.backendTimeout == nil)
        try loop.close()
    }

    /// An endpoint on a loop that is driven by a host alone, and proof that it closes.
    private func withEndpoint(_ body: (HealthEndpoint, PollLoop) throws -> Void) throws {
        let loop = try EventLoop()
        let host = PollLoop(guest: loop)
        let endpoint = try HealthEndpoint(
            loop: loop, address: SocketAddress(.loopbackV4, port: 0))
        try body(endpoint, host)
        var isDrained = false
        endpoint.drain(grace: .seconds(1)) { isDrained = true }
        while host.turn(atMost: .seconds(5)) {}
        #expect(isDrained)
        try loop.close()
    }

    private func run(_ child: Child, on host: PollLoop) throws {
        var turns = 0
        while !child.hasEnded {
            turns += 1
            // Some dozens in fact; a guest that will not let its host sleep takes millions.
            try #require(turns < 5000, "the host does not get to sleep: \(child.output)")
            host.turn(atMost: .seconds(1))
        }
    }
}
