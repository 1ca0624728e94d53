import Pacing
import Telemetry

/// What a client has found, for charts.
extension HoldReport {
    /// One second of the run, or ``seriesGrain``.
    public struct Second: Sendable {
        /// How long it lasted, in seconds.
        public let seconds: Int
        /// By pod, as in ``HoldReport/pods``; those that had not answered yet are missing.
        public let answers: [UInt32]
        /// Connections open at its end.
        public let open: Int
        /// Those of them with a request in flight.
        public let inFlight: Int
        /// Failures in it.
        public let failures: Int
        /// Jain's index of the ``recentSeconds`` that end with it; nil without answers.
        public let recentJainIndex: Double?
    }

    /// A time for which a pod had less than half of its fair share, to a second.
    public struct Spell: Sendable {
        /// Its name.
        public let pod: String
        /// Since the start of the run.
        public let from: Duration
        /// Since the start of the run; nil where it never had four fifths of its share again.
        public let until: Duration?
        /// Whether it ended because the pod was gone.
        public let isGone: Bool
    }

    /// Fair shares are judged over so many seconds.
    public static let recentSeconds = FairShare.span

    /// So many seconds of a long run are one in ``series``.
    public var seriesGrain: Int { distribution.grain }

    /// All seconds that are over, from the first.
    public var series: [Second] {
        let windows = distribution.series
        let reach = max(1, FairShare.span / distribution.grain)
        return windows.indices.map { index in
            let window = windows[index]
            return Second(
                seconds: window.seconds, answers: window.counts, open: Int(window.gauges.open),
                inFlight: Int(window.gauges.inFlight), failures: Int(window.failures),
                recentJainIndex: jainIndex(of: windows[...index].suffix(reach)))
        }
    }

    func jainIndex(of windows: ArraySlice<Distribution.Window>) -> Double? {
        var counts = Array(repeating: 0, count: pods.count)
        var fair = Array(repeating: 0.0, count: pods.count)
        for window in windows {
            for (pod, count) in window.counts.enumerated() { counts[pod] += Int(count) }
            FairShare.addShares(of: window, promised: distribution.promised, to: &fair)
        }
        let shares = Distribution.fractions(fair, of: counts.reduce(0, +))
        return Evenness.jainIndex(zip(counts, shares).map { (Double($0), $1) })
    }

    /// In the order in which they were noticed.
    public var spells: [Spell] {
        distribution.fairShare.spells.map {
            Spell(pod: pods[$0.pod].name, from: $0.from, until: $0.until, isGone: $0.isGone)
        }
    }

    /// Connections that are open.
    public var open: Int { hold.open }
    /// Connections that were opened in place of others.
    public var reconnects: Int { hold.reconnects }
    /// Requests that were sent.
    public var sent: Int { hold.sent }
    /// Requests that were answered.
    public var answered: Int { hold.answered }
    /// Requests whose connection ended without an answer.
    public var lost: Int { hold.lost }
    /// Requests that are under way.
    public var inFlight: Int { hold.inFlight }
    /// The most requests that were under way at once.
    public var peakInFlight: Int { hold.peakInFlight }
    /// From the start until all connections were open for the first time; nil if they never were.
    public var allOpenAfter: Duration? {
        guard let moment = hold.allOpenAt, let start = hold.startedAt else { return nil }
        return moment - start
    }
}
