import Pacing
import Telemetry

/// What a client has counted, over all of its runs: counters that never go back.
struct ClientFigures {
    /// Answered with 200.
    var answered = 0
    /// By `ProbeFailure.rawValue`.
    var failures = [Int](repeating: 0, count: ProbeFailure.allCases.count)
    /// Broken off because nothing was to be learned from them any more.
    var cancelled = 0
    /// From the connection list to each result, in seconds.
    var detection = BucketHistogram(upperBounds: ClientFigures.detectionSeconds)
    /// Width of the bounds of the results that have their final ones, in seconds.
    var uncertainty = BucketHistogram(upperBounds: BucketHistogram.latencySeconds)
    /// Results that have no lower bound, and will have none.
    var unbounded = 0

    /// Waiting for the policies counts too, so the bounds go on to an hour.
    static let detectionSeconds = BucketHistogram.latencySeconds + [120, 300, 600, 1800, 3600]

    /// Counts the probes of a ledger, of which so many are still under way.
    mutating func count(_ ledger: ProbeLedger, inFlight: Int) {
        answered += ledger.answers
        for (reason, count) in ledger.failures.enumerated() { failures[reason] += count }
        cancelled += ledger.probes - ledger.answers - ledger.failures.reduce(0, +) - inFlight
    }

    mutating func add(_ other: ClientFigures) {
        answered += other.answered
        for (reason, count) in other.failures.enumerated() { failures[reason] += count }
        cancelled += other.cancelled
        detection.merge(other.detection)
        uncertainty.merge(other.uncertainty)
        unbounded += other.unbounded
    }

    func write(to text: inout PrometheusText) {
        text.family("sonde_netpol_probes_total", .counter, help: "Probes that ended, by outcome.")
        text.sample(answered, [("outcome", "answered")])
        for reason in ProbeFailure.allCases {
            text.sample(failures[Int(reason.rawValue)], [("outcome", reason.words)])
        }
        text.sample(cancelled, [("outcome", "cancelled")])
        text.family(
            "sonde_netpol_detection_seconds", .histogram,
            help: "From the connection list's arrival to the moment of each target's result.")
        text.sample(detection)
        text.family(
            "sonde_netpol_uncertainty_seconds", .histogram,
            help: "Width of the bounds of each result, once no probe is out that could narrow it.")
        text.sample(uncertainty)
        text.family(
            "sonde_netpol_unbounded_results_total", .counter,
            help: "Results without a lower bound.")
        text.sample(unbounded)
    }
}
