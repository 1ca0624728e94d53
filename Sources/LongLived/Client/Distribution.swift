import Pacing

/// How answers spread over pods: in all, and second by second.
///
/// Pods are numbers here, given out in the order in which they first answered. A pod *counts* in a
/// second in which it is alive: it answered in it, or holds a connection at its end, or did one of
/// both within ``FairShare/span`` seconds before and after; and where fewer are alive than were
/// promised, those that were so last fill the number up. What an even share is follows from that,
/// so a name that is gone, as after a rollout, weighs on nobody's figures. A second in which a pod
/// came or went says nothing of its share, which is what it had then.
///
/// Single seconds are kept as long as there is room; then neighbours become one, again and again.
struct Distribution: Sendable {
    /// What happened in one window of time.
    struct Window: Equatable, Sendable {
        /// When it began, in seconds from the start, and for how many it lasted.
        var start = 0
        var seconds = 1
        /// Answers by pod; pods that were unknown then are missing at the end.
        var counts: [UInt32] = []
        /// Pods that count in it and answered nothing.
        var silent: [UInt16] = []
        /// Pods that came or went in it.
        var partial: [UInt16] = []
        var failures: UInt32 = 0
        var gauges = Gauges()

        var total: Int { counts.reduce(0) { $0 + Int($1) } }

        func count(of pod: Int) -> Int { pod < counts.count ? Int(counts[pod]) : 0 }

        /// Whether this pod has a share in it.
        func includes(_ pod: Int) -> Bool {
            count(of: pod) > 0 || silent.contains(UInt16(clamping: pod))
        }

        /// How many have: promised ones that nobody has seen are among them.
        func sharing(promised: Int) -> Int {
            max(promised, silent.count + counts.count { $0 > 0 })
        }

        /// An even share of its answers, for whoever was there all the time.
        func evenShare(promised: Int) -> Double {
            let others = partial.reduce(0) { $0 + count(of: Int($1)) }
            let sharing = sharing(promised: promised) - partial.count
            return Double(total - others) / Double(max(sharing, 1))
        }

        /// What is fair for this pod; nil where it has no share in it.
        func fair(for pod: Int, promised: Int) -> Double? {
            if partial.contains(UInt16(clamping: pod)) { return Double(count(of: pod)) }
            return includes(pod) ? evenShare(promised: promised) : nil
        }

        /// Becomes one window with the one that follows it.
        fileprivate mutating func absorb(_ next: Window) {
            seconds += next.seconds
            for (pod, count) in next.counts.enumerated() {
                if pod == counts.count { counts.append(0) }
                counts[pod] &+= count
            }
            let silentOnes = Set(silent).union(next.silent)
            silent = silentOnes.filter { count(of: Int($0)) == 0 }.sorted()
            partial = []
            failures &+= next.failures
            gauges = next.gauges
        }
    }

    /// How many there were at the end of a window.
    struct Gauges: Equatable, Sendable {
        var open: UInt32 = 0
        var inFlight: UInt32 = 0
    }

    /// How long a window is at first: the grain of every moment that is derived from them.
    static let windowLength = Duration.seconds(1)
    /// Counts that all windows together may keep; with many pods there are fewer windows.
    private static let countLimit = 1 << 20

    /// When the first window began.
    let start: Instant
    /// As many pods share at least; 0 where nobody said.
    let promised: Int
    private let windowLimit: Int
    /// Answers by pod.
    private(set) var counts: [Int] = []
    /// Windows that are over. The last ``FairShare/span`` are of a second each, those before of
    /// ``grain`` seconds, but for the last of them.
    private(set) var windows: [Window] = []
    /// Seconds of a window that is no longer one of the last.
    private(set) var grain = 1
    /// Who has less than a fair share, and since when.
    private(set) var fairShare = FairShare()
    private var current = Window()
    private var windowEnd: Instant
    /// Connections by pod, as last heard.
    private var held: [Int] = []
    /// By pod: the last second in which it answered or held a connection.
    private var lastSign: [Int] = []
    /// By pod: its even share of the answers in the windows that are no longer among the last.
    private var settled: [Double] = []

    /// - Parameters:
    ///   - promised: pods that are known to be there, whether they answer or not; 0 for none.
    ///   - windowLimit: so many windows are kept at most.
    init(start: Instant, promised: Int = 0, windowLimit: Int = 3600) {
        self.start = start
        self.promised = promised
        self.windowLimit = windowLimit
        windowEnd = start + Distribution.windowLength
    }

    /// All answers.
    var total: Int { counts.reduce(0, +) }

    /// Counts one answer of a pod. `now` must not run backwards.
    mutating func record(pod: Int, now: Instant) {
        if now >= windowEnd { advance(now: now, gauges: current.gauges, held: held) }
        while counts.count <= pod { counts.append(0) }
        while current.counts.count <= pod { current.counts.append(0) }
        counts[pod] += 1
        current.counts[pod] &+= 1
    }

    /// Counts one failure.
    mutating func recordFailure(now: Instant) {
        if now >= windowEnd { advance(now: now, gauges: current.gauges, held: held) }
        current.failures &+= 1
    }

    /// Ends the windows whose time is over; call it at least once a window.
    ///
    /// - Parameter held: by pod, the connections on which it answered last.
    mutating func advance(now: Instant, gauges: Gauges, held: [Int]) {
        current.gauges = gauges
        self.held = held
        // One that answered with nothing but errors has a name, and connections.
        while counts.count < held.count { counts.append(0) }
        while now >= windowEnd {
            endWindow()
            current = Window()
            current.start = windows.last.map { $0.start + $0.seconds } ?? 0
            current.gauges = gauges
            windowEnd += Distribution.windowLength
        }
    }

    // MARK: - Who shares

    /// By pod: the share of all answers, 0 to 1, that would have been even, each second divided
    /// among those that counted in it. Zeros without answers.
    var fair: [Double] {
        var sums = settled + Array(repeating: 0, count: counts.count - settled.count)
        for window in windows.suffix(FairShare.span) { addShares(of: window, to: &sums) }
        var last = current
        decideWhoCounts(in: &last)
        addShares(of: last, to: &sums)
        return Distribution.fractions(sums, of: total)
    }

    /// By pod: whether it counted in any of the last seconds. Others are gone.
    var lives: [Bool] {
        var last = current
        decideWhoCounts(in: &last)
        var lives = Array(repeating: false, count: counts.count)
        for window in windows.suffix(FairShare.span) + [last] {
            for (pod, count) in window.counts.enumerated() where count > 0 { lives[pod] = true }
            for pod in window.silent { lives[Int(pod)] = true }
        }
        return lives
    }

    static func fractions(_ sums: [Double], of total: Int) -> [Double] {
        total > 0 ? sums.map { $0 / Double(total) } : sums.map { _ in 0 }
    }

    private func addShares(of window: Window, to sums: inout [Double]) {
        FairShare.addShares(of: window, promised: promised, to: &sums)
    }

    private mutating func endWindow() {
        let second = current.start
        while lastSign.count < counts.count {
            lastSign.append(-1)
            settled.append(0)
        }
        decideWhoCounts(in: &current)
        for pod in counts.indices {
            if current.count(of: pod) > 0 || holds(pod) {
                showsLife(pod, in: second)
            } else if lastSign[pod] >= 0, lastSign[pod] == second - 1 {
                windows[windows.count - 1].partial.append(UInt16(clamping: pod))
            }
        }
        windows.append(current)
        fairShare.windowEnded(windows, promised: promised, pods: counts.count)
        settle()
    }

    private mutating func showsLife(_ pod: Int, in second: Int) {
        let (number, gap) = (UInt16(clamping: pod), second - lastSign[pod])
        if lastSign[pod] >= 0, gap <= FairShare.span {
            for index in windows.indices.suffix(gap) where gap > 1 {
                windows[index].partial.removeAll { $0 == number }
                if !windows[index].includes(pod) { windows[index].silent.append(number) }
            }
        } else if second > 0 {
            current.partial.append(number)
        }
        lastSign[pod] = second
    }

    private func holds(_ pod: Int) -> Bool { pod < held.count && held[pod] > 0 }

    /// Adds to a window those that count in it without an answer.
    private func decideWhoCounts(in window: inout Window) {
        for pod in counts.indices where holds(pod) && window.count(of: pod) == 0 {
            window.silent.append(UInt16(clamping: pod))
        }
        let missing = promised - window.sharing(promised: 0)
        guard missing > 0 else { return }
        let gone = lastSign.indices.filter { !window.includes($0) }
            .sorted { (lastSign[$1], $0) < (lastSign[$0], $1) }
        window.silent += gone.prefix(missing).map { UInt16(clamping: $0) }
    }

    // MARK: - What is kept

    /// What is no longer among the last windows changes no more: its shares are added up, and it
    /// may become one with its neighbour.
    private mutating func settle() {
        let index = windows.count - 1 - FairShare.span
        guard index >= 0 else { return }
        addShares(of: windows[index], to: &settled)
        if index > 0, windows[index - 1].seconds + windows[index].seconds <= grain {
            windows[index - 1].absorb(windows.remove(at: index))
        }
        let room = Distribution.countLimit / max(counts.count, 1)
        guard windows.count > max(2 * FairShare.span, min(windowLimit, room)) else { return }
        grain *= 2
        let old = windows.dropLast(FairShare.span)
        windows = Distribution.joined(old, grain: grain) + windows.suffix(FairShare.span)
    }

    /// All windows that are over, each of ``grain`` seconds but for the last.
    var series: [Window] {
        grain == 1 ? windows : Distribution.joined(windows[...], grain: grain)
    }

    private static func joined(_ windows: ArraySlice<Window>, grain: Int) -> [Window] {
        var joined: [Window] = []
        for window in windows {
            if let last = joined.last, last.seconds + window.seconds <= grain {
                joined[joined.count - 1].absorb(window)
            } else {
                joined.append(window)
            }
        }
        return joined
    }
}
