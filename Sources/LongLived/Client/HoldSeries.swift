import Pacing
import Telemetry

/// What a client has found, for charts.
extension HoldReport {
    /// One second of the run.
    public struct Second: Sendable {
        /// By pod, as in ``HoldReport/pods``; those that had not answered yet are missing.
        public let answers: [UInt32]
        /// Connections open at its end.
        public let open: Int
        /// Those of them with a request in flight.
        public let inFlight: Int
        /// Failures in it.
        public let failures: Int
    }

    /// A time for which a pod had less than half of its fair share, to a second.
    public struct Spell: Sendable {
        /// Its name.
        public let pod: String
        /// Since the start of the run.
        public let from: Duration
        /// Since the start of the run; nil where it never had four fifths of its share again.
        public let until: Duration?
    }

    /// Fair shares are judged over so many seconds.
    public static let recentSeconds = FairShare.span

    /// All seconds that are over, from the first.
    public var series: [Second] {
        distribution.windows.map { window in
            Second(
                answers: window.counts, open: Int(window.gauges.open),
                inFlight: Int(window.gauges.inFlight), failures: Int(window.failures))
        }
    }

    /// In the order in which they were noticed.
    public var spells: [Spell] {
        distribution.fairShare.spells.map {
            Spell(pod: pods[$0.pod].name, from: $0.from, until: $0.until)
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
