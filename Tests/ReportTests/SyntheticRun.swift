import Pacing

/// Ten clients for eight seconds through a proxy that is reconfigured three times: a backend comes,
/// the proxy reloads and breaks connections, a backend goes. Made up, but in the proportions of
/// real runs, and the same for the same seed.
struct SyntheticRun {
    struct Request {
        /// When it was sent, since the start.
        var time: Duration
        var client: Int
        /// Nil when there was no answer.
        var instance: Int?
        var frontPort: Int
        var backPort: Int
        var latency: Duration
    }

    struct Event {
        var label: String
        var start: Duration
        var end: Duration
    }

    static let instances = ["backend-a", "backend-b", "backend-c"]
    static let duration = Duration.seconds(8)
    static let failures = 26
    /// Made once: all tests look at the same.
    static let example = SyntheticRun()
    static let examplePage = example.page.html

    let clients = 10
    let events = [
        Event(
            label: "add backend-c", start: .milliseconds(2000), end: .milliseconds(2015)),
        Event(
            label: "reload with new certificates", start: .milliseconds(4000),
            end: .milliseconds(4135)),
        Event(
            label: "remove backend-a", start: .milliseconds(6000), end: .milliseconds(6040)),
    ]
    private(set) var requests: [Request] = []

    init(seed: UInt64 = 4) {
        var random = SeededRandom(seed: seed)
        for client in 0..<clients { run(client, &random) }
        requests.sort { $0.time < $1.time }
    }

    private mutating func run(_ client: Int, _ random: inout SeededRandom) {
        var now = Duration.microseconds(Int.random(in: 0..<900, using: &random))
        var instance = client % 2
        var ports = (front: 40_000 + client, back: 50_000 + client)
        // The first six clients meet the old process three times, the others twice.
        var toFail = client < 6 ? 3 : 2
        var stays = Duration.zero
        while now < Self.duration {
            let isReloading = now >= .milliseconds(4020) && toFail > 0
            let latency = latency(at: now, &random)
            requests.append(
                Request(
                    time: now, client: client, instance: isReloading ? nil : instance,
                    frontPort: ports.front, backPort: ports.back, latency: latency))
            now += latency
            if isReloading {
                toFail -= 1
                ports.front += 100
                now += .milliseconds(Int.random(in: 4...22, using: &random))
            }
            let next = choose(after: instance, now, until: &stays, &random)
            if next != instance { ports.back += 100 }
            instance = next
        }
    }

    /// A keep-alive connection at first, then runs of random length, turns after the reload.
    private func choose(
        after instance: Int, _ now: Duration, until stays: inout Duration,
        _ random: inout SeededRandom
    ) -> Int {
        switch now {
        case ..<(.milliseconds(2040)): return instance
        case ..<(.milliseconds(4000)):
            guard now >= stays else { return instance }
            stays = now + .milliseconds(Int.random(in: 20...400, using: &random))
            return Int.random(in: 0...2, using: &random)
        case ..<(.milliseconds(6060)): return (instance + 1) % 3
        default: return instance == 1 ? 2 : 1
        }
    }

    /// About two milliseconds, at times more; the reload holds a few answers up.
    private func latency(at now: Duration, _ random: inout SeededRandom) -> Duration {
        let spread = Double.random(in: 0..<1, using: &random)
        var microseconds = 1500 + 600 * spread * spread + 50 / (1.002 - spread)
        if now > .milliseconds(4000), now < .milliseconds(4135) { microseconds *= 5 }
        if now > .milliseconds(4030), now < .milliseconds(4060) { microseconds += 38_000 }
        return .microseconds(Int(microseconds))
    }
}
