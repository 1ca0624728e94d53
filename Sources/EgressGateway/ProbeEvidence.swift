import Pacing

/// What misses say about the moment at which masquerading began.
///
/// - **Proven**: a target that closed the connection without an answer was there, and saw a source
///   that is not allowed. The probe's SYN passed the gateway after the probe's start: masquerading
///   began later than that start.
/// - **Presumed**: a SYN that was refused, found no way, or stayed unanswered until the kernel sent
///   it again or the probe was given up. So looks a gateway that does not masquerade yet, where a
///   firewall stands behind it; and so looks a target that is not there yet.
/// - **Neither**: a connection that stood, and then got silence, a reset or a wrong reply. Somebody
///   let it through, and nobody who knows said no.
///
/// A bound is the youngest start of its kind. Not believed at all are probes that merely had not
/// been answered *yet*, that this machine could not send, or that came from a local port of which
/// the gateway may remember an earlier connection; and silence that was not waited for twice as
/// long as connections take here.
struct ProbeEvidence: Equatable, Sendable {
    /// What a bound rests on.
    enum Kind: String, CaseIterable, Sendable { case proven, presumed }

    private struct Silence: Equatable {
        var start: Instant
        var patience: Duration
    }

    private var closed: Instant?
    private var refused: Instant?
    /// The youngest that was waited for long enough.
    private var silence: Silence?
    /// The longest time from a probe's start to its connection, of those whose first SYN was
    /// answered: of the last some dozens, as each one takes a sixteenth off what was before.
    private(set) var longestRoundTrip: Duration?

    mutating func roundTrip(_ time: Duration) {
        longestRoundTrip = max(longestRoundTrip.map { $0 * 15 / 16 } ?? time, time)
    }

    mutating func add(_ flight: ProbeWindow.Flight) {
        let start = flight.start
        switch flight.verdict {
        case .nothing: break
        case .closed: closed = max(closed ?? start, start)
        case .refused: refused = max(refused ?? start, start)
        case .silence:
            let new = Silence(start: start, patience: (flight.ended ?? start) - start)
            if isBelieved(new), start >= silence?.start ?? start { silence = new }
        }
    }

    /// The latest moment known not to have been masqueraded; of what is presumed, only where that
    /// is later than what is proven.
    func lowerBound(_ kind: Kind) -> Instant? {
        guard kind == .presumed else { return closed }
        let believed = silence.flatMap { isBelieved($0) ? $0.start : nil }
        guard let presumed = [refused, believed].compactMap({ $0 }).max() else { return nil }
        return closed.map { $0 < presumed } ?? true ? presumed : nil
    }

    private func isBelieved(_ silence: Silence) -> Bool {
        silence.patience >= (longestRoundTrip ?? .zero) * 2
    }
}

/// The probes under way, by number in the order of their starts, and those that have ended since
/// the oldest of them started.
struct ProbeWindow: Sendable {
    /// What an ended probe says about its start.
    enum Verdict: UInt8, Sendable { case nothing, closed, refused, silence }

    struct Flight: Sendable {
        var start: Instant
        /// How long this process had slept before.
        var sleptBefore: Duration
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
    var oldestFlight: Flight? { flying == 0 ? nil : flights[head] }

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

    mutating func open(at start: Instant, sleptBefore: Duration, isFresh: Bool) -> Int {
        if head > 64, head > flights.count / 2 {
            flights.removeFirst(head)
            head = 0
        }
        flights.append(Flight(start: start, sleptBefore: sleptBefore, isFresh: isFresh))
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
