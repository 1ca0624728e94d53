import Pacing

/// How answers spread over pods: in all, and second by second.
///
/// Pods are numbers here, given out in the order in which they first answered.
struct Distribution: Sendable {
    /// What happened in one window of time.
    struct Window: Equatable, Sendable {
        /// Answers by pod; pods that were unknown then are missing at the end.
        var counts: [UInt32] = []
        var failures: UInt32 = 0
        var gauges = Gauges()

        var total: Int { counts.reduce(0) { $0 + Int($1) } }
    }

    /// How many there were at the end of a window.
    struct Gauges: Equatable, Sendable {
        var open: UInt32 = 0
        var inFlight: UInt32 = 0
    }

    /// How long a window is: the grain of every moment that is derived from them.
    static let windowLength = Duration.seconds(1)

    /// When the first window began.
    let start: Instant
    /// Answers by pod.
    private(set) var counts: [Int] = []
    /// Windows that are over.
    private(set) var windows: [Window] = []
    /// Who has less than a fair share, and since when.
    private(set) var fairShare = FairShare()
    private var current = Window()
    private var windowEnd: Instant

    init(start: Instant) {
        self.start = start
        windowEnd = start + Distribution.windowLength
    }

    /// All answers.
    var total: Int { counts.reduce(0, +) }

    /// Counts one answer of a pod. `now` must not run backwards.
    mutating func record(pod: Int, now: Instant) {
        if now >= windowEnd { advance(now: now, gauges: current.gauges) }
        while counts.count <= pod { counts.append(0) }
        while current.counts.count <= pod { current.counts.append(0) }
        counts[pod] += 1
        current.counts[pod] &+= 1
    }

    /// Counts one failure.
    mutating func recordFailure(now: Instant) {
        if now >= windowEnd { advance(now: now, gauges: current.gauges) }
        current.failures &+= 1
    }

    /// Ends the windows whose time is over; call it at least once a window.
    mutating func advance(now: Instant, gauges: Gauges) {
        current.gauges = gauges
        while now >= windowEnd {
            while current.counts.count < counts.count { current.counts.append(0) }
            windows.append(current)
            fairShare.windowEnded(windows)
            current = Window()
            current.gauges = gauges
            windowEnd += Distribution.windowLength
        }
    }

    /// The time from the start to the beginning of a window.
    static func offset(ofWindow index: Int) -> Duration { windowLength * index }
}
