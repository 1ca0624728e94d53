import Pacing
import Testing

@testable import LongLived

@Suite struct DistributionTests {
    private let t0 = Instant(nanoseconds: 5_000_000_000)

    @Test("answers fall into the second in which they came, failures and gauges too")
    func windows() {
        var distribution = Distribution(start: t0)
        distribution.record(pod: 0, now: t0)
        distribution.record(pod: 0, now: t0 + .milliseconds(999))
        distribution.record(pod: 1, now: t0 + .seconds(1))
        distribution.recordFailure(now: t0 + .milliseconds(1500))
        // Two seconds without anything, then one answer.
        distribution.record(pod: 1, now: t0 + .milliseconds(4100))
        distribution.advance(
            now: t0 + .seconds(5), gauges: Distribution.Gauges(open: 3, inFlight: 2))
        #expect(distribution.windows.map(\.total) == [2, 1, 0, 0, 1])
        #expect(distribution.windows.map(\.failures) == [0, 1, 0, 0, 0])
        #expect(distribution.windows[0].counts == [2] && distribution.windows[1].counts == [0, 1])
        // A pod that is known and silent has a zero, which counts for how even it is.
        #expect(distribution.windows[2].counts == [0, 0])
        #expect(distribution.windows[4].gauges == .init(open: 3, inFlight: 2))
        #expect(distribution.counts == [2, 2] && distribution.total == 4)
    }

    /// Seconds with so many answers of each pod.
    private func spells(_ seconds: [[Int]]) -> [FairShare.Spell] {
        var distribution = Distribution(start: t0)
        for (second, counts) in seconds.enumerated() {
            let now = t0 + .seconds(second)
            for (pod, count) in counts.enumerated() {
                for _ in 0..<count { distribution.record(pod: pod, now: now) }
            }
            distribution.advance(now: now + .seconds(1), gauges: .init())
        }
        return distribution.fairShare.spells
    }

    private func rows(_ counts: [Int], _ times: Int) -> [[Int]] {
        Array(repeating: counts, count: times)
    }

    @Test("a pod that goes and comes back is below from its last second to its first fair one")
    func restart() {
        let found = spells(rows([20, 20, 20], 10) + rows([60, 0, 0], 7) + rows([20, 20, 20], 9))
        #expect(
            found.sorted { $0.pod < $1.pod } == [
                FairShare.Spell(pod: 1, from: .seconds(10), until: .seconds(17)),
                FairShare.Spell(pod: 2, from: .seconds(10), until: .seconds(17)),
            ])
    }

    @Test("with kept connections it never gets its share back")
    func sticky() {
        let found = spells(rows([20, 20], 10) + rows([40, 0], 3) + rows([38, 2], 30))
        #expect(found == [FairShare.Spell(pod: 1, from: .seconds(10), until: nil)])
    }

    @Test("a slow return counts until its share is fair, not until its first answer")
    func slow() {
        let rise = (0..<10).map { [20 - $0, 2 * $0] }  // half of a fair share after five seconds
        let found = spells(rows([10, 10], 6) + rows([20, 0], 5) + rise + rows([10, 10], 9))
        #expect(found.count == 1 && found[0].pod == 1 && found[0].from == .seconds(6))
        let until = found[0].until ?? .zero
        #expect(until >= .seconds(11 + 3) && until <= .seconds(11 + 8), "\(until)")
    }

    @Test("a spell that is noticed late, for want of answers, begins where it began")
    func noticedLate() {
        let found = spells(
            rows([20, 20], 6) + rows([1, 0], 12) + rows([40, 0], 5) + rows([20, 20], 8))
        #expect(found == [FairShare.Spell(pod: 1, from: .seconds(6), until: .seconds(23))])
    }

    @Test("a pod with a new name is below from its first answer until it has its share")
    func replaced() {
        let found = spells(
            rows([20, 20], 8) + rows([40, 0, 2], 6) + rows([20, 0, 20], 8))
        #expect(found.contains(FairShare.Spell(pod: 1, from: .seconds(8), until: nil)))
        #expect(found.contains(FairShare.Spell(pod: 2, from: .seconds(8), until: .seconds(14))))
    }

    @Test("nothing is judged of one pod, of few answers, or of one bad second")
    func unjudged() {
        #expect(spells(rows([50], 20)) == [])
        // 15 answers in five seconds: 7.5 a pod.
        #expect(spells(rows([1, 1], 1) + rows([3, 0], 20)) == [])
        #expect(spells(rows([1, 1], 1) + rows([4, 0], 20)).count == 1)
        #expect(spells(rows([20, 20], 10) + rows([40, 0], 1) + rows([20, 20], 10)) == [])
        #expect(spells(rows([30, 16], 30)) == [])  // seven tenths of a fair share
    }

    @Test("a pod that is below from the beginning is so from the beginning")
    func fromStart() {
        #expect(
            spells(rows([30, 2], 10)) == [FairShare.Spell(pod: 1, from: .zero, until: nil)])
    }
}
