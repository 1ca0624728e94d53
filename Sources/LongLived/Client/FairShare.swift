import Pacing

/// Tells when a pod fell below its fair share of the answers, and when it had it again.
///
/// Judged over the last ``span`` windows, because single windows have few answers: a pod has fallen
/// below with less than half of total ÷ pods, and has it again with four fifths. Nothing is judged
/// while a fair share would be fewer than ten answers. So a gap of a second or two is not seen. A
/// pod that first answers later than the others is below from its first answer, as is one that is
/// replaced under a new name.
struct FairShare: Sendable {
    /// A time for which a pod was below its fair share, in whole windows from the start.
    struct Spell: Equatable, Sendable {
        var pod: Int
        /// The beginning of the first window in which it had less than half.
        var from: Duration
        /// The beginning of the first window of those that together say that it has its share
        /// again; nil while none do.
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
    /// By pod: the window of its first answer; 0 for those of the first windows.
    private var firstWindow: [Int] = []

    /// - Parameter windows: all that have ended, the last of them just now.
    mutating func windowEnded(_ windows: [Distribution.Window]) {
        guard let last = windows.last else { return }
        while sums.count < last.counts.count {
            sums.append(0)
            current.append(nil)
            firstWindow.append(windows.count <= FairShare.span ? 0 : windows.count - 1)
        }
        for (pod, count) in last.counts.enumerated() { sums[pod] += Int(count) }
        if windows.count > FairShare.span {
            for (pod, count) in windows[windows.count - FairShare.span - 1].counts.enumerated() {
                sums[pod] -= Int(count)
            }
        }
        judge(windows)
    }

    private mutating func judge(_ windows: [Distribution.Window]) {
        let (pods, total) = (sums.count, sums.reduce(0, +))
        guard windows.count >= FairShare.span, pods > 1, total >= FairShare.minimumPerPod * pods
        else { return }
        for pod in sums.indices {
            if let spell = current[pod] {
                guard sums[pod] * pods * 5 >= total * 4 else { continue }
                spells[spell].until = beginOfShare(of: pod, windows)
                current[pod] = nil
            } else if sums[pod] * pods * 2 < total {
                current[pod] = spells.count
                spells.append(Spell(pod: pod, from: beginOfWant(of: pod, windows)))
            }
        }
    }

    /// The beginning of the first window of the span in which `pod` had less than half of its
    /// share, or of those before it that had, too.
    private func beginOfWant(of pod: Int, _ windows: [Distribution.Window]) -> Duration {
        let span = max(firstWindow[pod], windows.count - FairShare.span)..<windows.count
        var first = span.first { !hasHalf(pod, windows[$0]) } ?? span.lowerBound
        while first > firstWindow[pod], !hasHalf(pod, windows[first - 1]) { first -= 1 }
        return Distribution.offset(ofWindow: first)
    }

    /// The beginning of the last windows of the span in each of which `pod` had half of its share.
    private func beginOfShare(of pod: Int, _ windows: [Distribution.Window]) -> Duration {
        var first = windows.count
        while first > windows.count - FairShare.span, hasHalf(pod, windows[first - 1]) {
            first -= 1
        }
        return Distribution.offset(ofWindow: first)
    }

    private func hasHalf(_ pod: Int, _ window: Distribution.Window) -> Bool {
        let count = pod < window.counts.count ? Int(window.counts[pod]) : 0
        return count * sums.count * 2 >= window.total
    }
}
