import Pacing

/// What an instrument's own probes ask of the network that it measures: how many it starts, and how
/// many connection-tracking entries they may hold.
///
/// A node that tracks connections keeps the entry of a SYN that nobody answered for
/// ``entryLifetime``, whether or not the prober has given it up; a full table drops everybody's
/// packets. "May hold", because whether a node tracks, and where a firewall drops, is not known
/// here. An entry that was answered, by a handshake or a reset, is short-lived and not counted.
///
/// Pure: it is told what happened and when. Seconds of the clock are its grain, so that a probe
/// costs an addition.
public struct ProbeLoad: Sendable {
    /// `nf_conntrack_tcp_timeout_syn_sent` of Linux, at its default.
    public static let entryLifetime = Duration.seconds(120)
    /// More entries than this are worth a warning: the whole table of many a node.
    public static let modestEntries = 65_536

    /// The second that runs, and as many whole ones before it as an entry lives.
    private static let seconds: UInt64 = 121
    private static let rateSeconds: UInt64 = 10

    /// Of each second: probes started, and those of them whose SYN nobody has answered.
    private var started = [Int](repeating: 0, count: Int(ProbeLoad.seconds))
    private var held = [Int](repeating: 0, count: Int(ProbeLoad.seconds))
    private var first: UInt64?
    private var current: UInt64 = 0
    private var entries = 0
    private var hasWarned = false

    /// The most entries so far.
    public private(set) var peakEntries = 0
    /// The most probes started within one second of the clock.
    public private(set) var peakRate = 0

    /// Nothing was probed yet.
    public init() {}

    /// A probe starts: its SYN is sent, and counts as unanswered until it is known to be answered.
    public mutating func started(now: Instant) {
        advance(to: now)
        let place = Int(current % ProbeLoad.seconds)
        started[place] += 1
        held[place] += 1
        entries += 1
        peakEntries = max(peakEntries, entries)
        peakRate = max(peakRate, started[place])
    }

    /// The SYN of a probe that was started at `start` has its answer, or was never sent. Once a
    /// probe.
    public mutating func answered(startedAt start: Instant, now: Instant) {
        advance(to: now)
        let second = start.nanoseconds / 1_000_000_000
        let place = Int(second % ProbeLoad.seconds)
        guard second <= current, current - second < ProbeLoad.seconds, held[place] > 0 else {
            return
        }
        held[place] -= 1
        entries -= 1
    }

    /// Entries that the probes of the last two minutes may hold.
    public func entries(at now: Instant) -> Int {
        var later = self
        later.advance(to: now)
        return later.entries
    }

    /// Probes started per second, as the mean of the last ten whole seconds or of those there were;
    /// nil before one is over.
    public func rate(at now: Instant) -> Double? {
        var later = self
        later.advance(to: now)
        let begin = later.current - min(later.current, ProbeLoad.rateSeconds)
        guard let first, first < later.current else { return nil }
        let seconds = max(first, begin)..<later.current
        let count = seconds.reduce(0) { $0 + later.started[Int($1 % ProbeLoad.seconds)] }
        return Double(count) / Double(seconds.count)
    }

    /// For the log, once: that the probes may hold more than ``modestEntries``.
    /// - Parameter flag: the one that lowers it.
    public mutating func warning(flag: String) -> String? {
        guard entries > ProbeLoad.modestEntries, !hasWarned else { return nil }
        hasWarned = true
        return "Probes that nobody answers may hold more than \(ProbeLoad.modestEntries) "
            + "connection-tracking entries on a node that tracks, for 120 s each; \(flag) lowers it"
    }

    /// For the log, at the end of a run.
    public var summary: String {
        "Probe load: at most \(peakRate) probes in a second, and \(peakEntries) "
            + "connection-tracking entries on a node that tracks"
    }

    /// The metric families of every role that probes.
    public func write(to text: inout PrometheusText, now: Instant) {
        text.family(
            "sonde_probe_rate", .gauge,
            help: "Probes started per second, as the mean of the last ten.")
        if let rate = rate(at: now) { text.sample(rate) }
        text.family(
            "sonde_probe_tracking_entries", .gauge,
            help: "Connection-tracking entries that unanswered SYNs may hold on a node, for 120 s.")
        text.sample(entries(at: now))
    }

    /// Time that goes backwards changes nothing.
    private mutating func advance(to now: Instant) {
        let second = now.nanoseconds / 1_000_000_000
        if first == nil {
            // A second that had begun before is not whole.
            first = now.nanoseconds % 1_000_000_000 == 0 ? second : second + 1
            current = second
        }
        guard second > current else { return }
        for passed in (current + 1)...min(second, current + ProbeLoad.seconds) {
            let place = Int(passed % ProbeLoad.seconds)
            entries -= held[place]
            (started[place], held[place]) = (0, 0)
        }
        current = second
    }
}
