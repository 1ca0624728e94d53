import Pacing

/// What misses say about the moment at which masquerading began.
///
/// A probe that was turned away (closed without an answer, refused, unreachable) was not
/// masqueraded when its SYN passed the gateway, which was after the probe's start: masquerading
/// began later than that start. So it did for a probe whose SYN stayed unanswered until the kernel
/// sent it again, or until it was given up, if that took well longer than a round trip. The lower
/// bound is the youngest such start.
///
/// Not believed are probes that merely had not been answered *yet*, that this machine could not
/// send, that stood but were not answered, or that came from a local port of which the gateway may
/// remember an earlier connection. A path that loses packets makes silence look like a gateway that
/// does not masquerade, so that the bound is wrong with at most the chance of that loss.
struct ProbeEvidence: Equatable, Sendable {
    private var turnedAway: Instant?
    private var silent: Instant?
    /// The shortest time that one of the silent ones was waited for.
    private var patience = Duration.nanoseconds(Int64.max)
    /// The longest time from a probe's start to its connection, of those whose first SYN was
    /// answered.
    private(set) var longestRoundTrip = Duration.zero

    mutating func roundTrip(_ time: Duration) {
        longestRoundTrip = max(longestRoundTrip, time)
    }

    mutating func add(_ flight: ProbeWindow.Flight) {
        switch flight.verdict {
        case .nothing: break
        case .turnedAway: turnedAway = max(turnedAway ?? flight.start, flight.start)
        case .silence:
            silent = max(silent ?? flight.start, flight.start)
            patience = min(patience, (flight.ended ?? flight.start) - flight.start)
        }
    }

    var lowerBound: Instant? {
        guard let silent, patience >= longestRoundTrip * 2 else { return turnedAway }
        return max(turnedAway ?? silent, silent)
    }
}

/// The probes under way, by number in the order of their starts, and those that have ended since
/// the oldest of them started.
struct ProbeWindow: Sendable {
    /// What an ended probe says about its start.
    enum Verdict: UInt8, Sendable { case nothing, turnedAway, silence }

    struct Flight: Sendable {
        var start: Instant
        var connected: Instant?
        var ended: Instant?
        var verdict = Verdict.nothing
        var retransmitted = false
        /// From a local port that nobody remembers.
        var isFresh: Bool
        /// Bytes of the answer so far.
        var matched: UInt8 = 0
        var portTries: UInt8 = 0
        fileprivate var isFlying = true
    }

    private var flights: [Flight] = []
    /// Where the window begins in `flights`, and the number of that flight.
    private var head = 0
    private var firstNumber = 0
    private(set) var flying = 0

    /// The flight of that number while it is under way; nil after, so that late news is harmless.
    subscript(number: Int) -> Flight? {
        guard let index = index(number), flights[index].isFlying else { return nil }
        return flights[index]
    }

    /// The flight that has been under way longest. (The window begins with it: see popEnded.)
    var oldest: Int? { flying == 0 ? nil : firstNumber }
    var oldestStart: Instant? { flying == 0 ? nil : flights[head].start }

    /// All that are under way, oldest first.
    var flyingNumbers: [Int] {
        flights.indices.dropFirst(head).filter { flights[$0].isFlying }
            .map { firstNumber + $0 - head }
    }

    /// Those that have ended, while an older one is under way.
    func forEachEnded(_ body: (Int, Flight) -> Void) {
        for index in flights.indices.dropFirst(head) where !flights[index].isFlying {
            body(firstNumber + index - head, flights[index])
        }
    }

    mutating func open(at start: Instant, isFresh: Bool) -> Int {
        if head > 64, head > flights.count / 2 {
            flights.removeFirst(head)
            head = 0
        }
        flights.append(Flight(start: start, isFresh: isFresh))
        flying += 1
        return firstNumber + flights.count - head - 1
    }

    mutating func update(_ number: Int, _ change: (inout Flight) -> Void) {
        guard let index = index(number), flights[index].isFlying else { return }
        change(&flights[index])
    }

    mutating func close(_ number: Int) {
        guard let index = index(number), flights[index].isFlying else { return }
        flights[index].isFlying = false
        flying -= 1
    }

    /// Takes the first of the window out if it has ended.
    mutating func popEnded() -> (Int, Flight)? {
        guard head < flights.count, !flights[head].isFlying else { return nil }
        let number = firstNumber
        let flight = flights[head]
        head += 1
        firstNumber += 1
        if head == flights.count {
            flights.removeAll(keepingCapacity: true)
            head = 0
        }
        return (number, flight)
    }

    private func index(_ number: Int) -> Int? {
        let index = head + number - firstNumber
        return number >= firstNumber && index < flights.count ? index : nil
    }
}
