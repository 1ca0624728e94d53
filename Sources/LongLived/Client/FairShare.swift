import Pacing
import Telemetry

/// Tells when a pod fell below its fair share of the answers, and when it had it again.
///
/// Judged over the last ``span`` seconds, because single ones have few answers: a pod has fallen
/// below with less than half of what an even share of the seconds in which it counts would be, and
/// has it again with four fifths. Nothing is judged while that would be fewer than ten answers, nor
/// a pod that is gone. So a gap of a second or two is not seen.
struct FairShare: Sendable {
    /// A time for which a pod was below its fair share, in whole seconds from the start.
    struct Spell: Equatable, Sendable {
        var pod: Int
        /// The beginning of the first window in which it had less than half.
        var from: Duration
        /// The beginning of the first window of those that together say that it has its share
        /// again, or that it counts no more; nil while none do.
        var until: Duration?
        /// Whether it ended because the pod did.
        var isGone = false
    }

    /// How many seconds are judged together.
    static let span = 5
    private static let minimum = 10.0
    private static let spellLimit = 1000

    private(set) var spells: [Spell] = []
    /// Those that are not kept: what flaps for ever must not use up the memory.
    private(set) var furtherSpells = 0
    /// Answers in the last ``span`` seconds, by pod.
    private(set) var sums: [Int] = []
    /// What an even share of them would have been.
    private(set) var fair: [Double] = []
    /// By pod: its spell that has no end yet.
    private var current: [Int: Int] = [:]

    /// Adds what an even share of a window's answers is to everyone who has one.
    static func addShares(
        of window: Distribution.Window, promised: Int, to sums: inout [Double]
    ) {
        let share = window.evenShare(promised: promised)
        for (pod, count) in window.counts.enumerated() where count > 0 { sums[pod] += share }
        for pod in window.silent { sums[Int(pod)] += share }
        for pod in window.partial { sums[Int(pod)] += Double(window.count(of: Int(pod))) - share }
    }

    /// - Parameters:
    ///   - windows: those that have ended, the last of them just now.
    ///   - pods: how many are known.
    mutating func windowEnded(_ windows: [Distribution.Window], promised: Int, pods: Int) {
        let last = windows.suffix(FairShare.span)
        sums = Array(repeating: 0, count: pods)
        fair = Array(repeating: 0, count: pods)
        for window in last {
            for (pod, count) in window.counts.enumerated() { sums[pod] += Int(count) }
            FairShare.addShares(of: window, promised: promised, to: &fair)
        }
        if last.count == FairShare.span { judge(windows, promised) }
    }

    private mutating func judge(_ windows: [Distribution.Window], _ promised: Int) {
        guard let last = windows.last else { return }
        let span = windows.suffix(FairShare.span)
        for pod in sums.indices {
            let (sum, fair) = (Double(sums[pod]), fair[pod])
            if let spell = current[pod] {
                let isGone = !span.contains { $0.includes(pod) }
                let isFair = fair >= FairShare.minimum && sum * 5 >= fair * 4
                guard isGone || isFair && last.includes(pod) else { continue }
                current[pod] = nil
                guard spells.indices.contains(spell) else { continue }
                spells[spell].isGone = isGone
                spells[spell].until =
                    isGone
                    ? FairShare.offset(span.first) : beginOfShare(of: pod, windows, promised)
            } else if fair >= FairShare.minimum, sum * 2 < fair, last.includes(pod) {
                current[pod] = spells.count < FairShare.spellLimit ? spells.count : .max
                if current[pod] == .max {
                    furtherSpells += 1
                } else {
                    let from = beginOfWant(of: pod, windows, promised)
                    spells.append(Spell(pod: pod, from: from))
                }
            }
        }
    }

    /// The beginning of the first window of the span in which `pod` had less than half of its
    /// share, or of those before it that had, too.
    private func beginOfWant(
        of pod: Int, _ windows: [Distribution.Window], _ promised: Int
    ) -> Duration {
        func wants(_ window: Distribution.Window) -> Bool {
            window.fair(for: pod, promised: promised).map {
                Double(window.count(of: pod)) * 2 < $0
            } ?? false
        }
        let span = windows.indices.suffix(FairShare.span)
        var first = span.first { wants(windows[$0]) } ?? span.lowerBound
        while first > 0, wants(windows[first - 1]) { first -= 1 }
        return FairShare.offset(windows[first])
    }

    /// The beginning of the last windows of the span in each of which `pod` had half of its share.
    private func beginOfShare(
        of pod: Int, _ windows: [Distribution.Window], _ promised: Int
    ) -> Duration {
        let span = windows.suffix(FairShare.span)
        let fair = span.reversed().prefix { window in
            window.fair(for: pod, promised: promised).map {
                Double(window.count(of: pod)) * 2 >= $0
            } ?? false
        }
        return FairShare.offset(fair.last ?? span.last)
    }

    private static func offset(_ window: Distribution.Window?) -> Duration {
        Distribution.windowLength * (window?.start ?? 0)
    }
}
