import Pacing

/// Tells when a pod fell below its fair share of the answers, and when it had it again.
///
/// Judged over the last ``span`` windows, because single windows have few answers: a pod has fallen
/// below with less than half of total ÷ pods, and has it again with four fifths. Nothing is judged
/// while a fair share would be fewer than ten answers. A pod that first answers later than the
/// others is below from its first answer, as is one that is replaced under a new name.
struct FairShare: Sendable {
    /// A time for which a pod was below its fair share.
    struct Spell: Equatable, Sendable {
        var pod: Int
        /// The last moment at which it still had it, from the start.
        var from: Duration
        /// The earliest moment at which the last windows together say that it has it again; nil
        /// while it has not.
        var until: Duration?
    }

    /// How many windows are judged together.
    static let span = 5
    private static let minimumPerPod = 10

    private(set) var spells: [Spell] = []
    /// Answers in the last ``span`` windows, by pod.
    private(set) var sums: [Int] = []
    /// By pod: its spell that has no end yet.
    private var current: [Int?] = []
    /// By pod: the end of the last window in which it had half of its share.
    private var lastFair: [Duration] = []
    private var ended = 0

    /// - Parameter windows: all that have ended, the last of them just now.
    mutating func windowEnded(_ windows: [Distribution.Window]) {
        guard let last = windows.last else { return }
        ended = windows.count
        let now = Distribution.offset(ofWindow: ended)
        while sums.count < last.counts.count {
            sums.append(0)
            current.append(nil)
            lastFair.append(ended <= FairShare.span ? .zero : now - Distribution.windowLength)
        }
        for (pod, count) in last.counts.enumerated() { sums[pod] += Int(count) }
        if ended > FairShare.span {
            for (pod, count) in windows[ended - FairShare.span - 1].counts.enumerated() {
                sums[pod] -= Int(count)
            }
        }
        let pods = sums.count
        let lastTotal = last.total
        for pod in sums.indices where lastTotal > 0 && Int(last.counts[pod]) * pods * 2 >= lastTotal
        {
            lastFair[pod] = now
        }
        judge(now: now, pods: pods)
    }

    private mutating func judge(now: Duration, pods: Int) {
        let total = sums.reduce(0, +)
        guard ended >= FairShare.span, pods > 1, total >= FairShare.minimumPerPod * pods else {
            return
        }
        for pod in sums.indices {
            if let spell = current[pod] {
                guard sums[pod] * pods * 5 >= total * 4 else { continue }
                spells[spell].until = now
                current[pod] = nil
            } else if sums[pod] * pods * 2 < total {
                // In a window of its own it may have had enough; what counts is the span.
                current[pod] = spells.count
                spells.append(Spell(pod: pod, from: min(lastFair[pod], now)))
            }
        }
    }
}
