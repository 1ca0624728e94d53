import Pacing
import Telemetry
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
            now: t0 + .seconds(5), gauges: Distribution.Gauges(open: 3, inFlight: 2), held: [])
        #expect(distribution.windows.map(\.total) == [2, 1, 0, 0, 1])
        #expect(distribution.windows.map(\.failures) == [0, 1, 0, 0, 0])
        #expect(distribution.windows[0].counts == [2] && distribution.windows[1].counts == [0, 1])
        #expect(distribution.windows.map(\.start) == [0, 1, 2, 3, 4])
        #expect(distribution.windows[2].counts == [])
        #expect(distribution.windows[4].gauges == .init(open: 3, inFlight: 2))
        #expect(distribution.counts == [2, 2] && distribution.total == 4)
    }

    /// Seconds with so many answers of each pod; a negative number is a connection and no answer.
    private func distribution(
        _ seconds: [[Int]], promised: Int = 0, limit: Int = 3600
    ) -> Distribution {
        var distribution = Distribution(start: t0, promised: promised, windowLimit: limit)
        for (second, counts) in seconds.enumerated() {
            let now = t0 + .seconds(second)
            for (pod, count) in counts.enumerated() where count > 0 {
                for _ in 0..<count { distribution.record(pod: pod, now: now) }
            }
            distribution.advance(
                now: now + .seconds(1), gauges: .init(), held: counts.map { $0 < 0 ? 1 : 0 })
        }
        return distribution
    }

    private func spells(_ seconds: [[Int]], promised: Int = 0) -> [FairShare.Spell] {
        distribution(seconds, promised: promised).fairShare.spells
    }

    private func jainIndex(_ distribution: Distribution) -> Double? {
        Evenness.jainIndex(zip(distribution.counts, distribution.fair).map { (Double($0), $1) })
    }

    private func rows(_ counts: [Int], _ times: Int) -> [[Int]] {
        Array(repeating: counts, count: times)
    }

    @Test("a pod that goes and comes back is below from its last second to its first fair one")
    func restart() {
        let found = spells(
            rows([20, 20, 20], 10) + rows([60, 0, 0], 7) + rows([20, 20, 20], 9), promised: 3)
        #expect(
            found.sorted { $0.pod < $1.pod } == [
                FairShare.Spell(pod: 1, from: .seconds(10), until: .seconds(17)),
                FairShare.Spell(pod: 2, from: .seconds(10), until: .seconds(17)),
            ])
    }

    @Test("with kept connections it never gets its share back")
    func sticky() {
        let found = spells(
            rows([20, 20], 10) + rows([40, 0], 3) + rows([38, 2], 30), promised: 2)
        #expect(found == [FairShare.Spell(pod: 1, from: .seconds(10), until: nil)])
    }

    @Test("a slow return counts until its share is fair, not until its first answer")
    func slow() {
        let rise = (0..<10).map { [20 - $0, 2 * $0] }  // half of a fair share after five seconds
        let found = spells(
            rows([10, 10], 6) + rows([20, 0], 5) + rise + rows([10, 10], 9), promised: 2)
        #expect(found.count == 1 && found[0].pod == 1 && found[0].from == .seconds(6))
        let until = found[0].until ?? .zero
        #expect(until >= .seconds(11 + 3) && until <= .seconds(11 + 8), "\(until)")
    }

    @Test("a spell that is noticed late, for want of answers, begins where it began")
    func noticedLate() {
        let found = spells(
            rows([20, 20], 6) + rows([1, 0], 12) + rows([40, 0], 5) + rows([20, 20], 8), promised: 2
        )
        #expect(found == [FairShare.Spell(pod: 1, from: .seconds(6), until: .seconds(23))])
    }

    @Test("a pod with a new name is below from the second after it came until it has its share")
    func replaced() {
        let found = spells(
            rows([20, 20], 8) + rows([40, 0, 2], 6) + rows([20, 0, 20], 8))
        // The second in which it came says nothing.
        #expect(found == [FairShare.Spell(pod: 2, from: .seconds(9), until: .seconds(14))])
    }

    @Test("nothing is judged of one pod, of few answers, or of one bad second")
    func unjudged() {
        #expect(spells(rows([50], 20)) == [])
        // 15 answers in five seconds: 7.5 a pod.
        #expect(spells(rows([1, 1], 1) + rows([3, -1], 20)) == [])
        #expect(spells(rows([1, 1], 1) + rows([4, -1], 20)).count == 1)
        #expect(spells(rows([20, 20], 10) + rows([40, -1], 1) + rows([20, 20], 10)) == [])
        #expect(spells(rows([30, 16], 30)) == [])  // seven tenths of a fair share
    }

    @Test("after a rollout even traffic is even: names that are gone weigh on nothing")
    func rollout() throws {
        for promised in [0, 3] {
            let old = rows([20, 20, 20], 30)
            let new = rows([0, 0, 0, 20, 20, 20], 7)
            let found = distribution(old + new, promised: promised)
            #expect(try abs(#require(jainIndex(found)) - 1) < 1e-12)
            #expect(found.fair.map { ($0 * 37 * 3).rounded() } == [30, 30, 30, 7, 7, 7])
            #expect(found.windows.allSatisfy { $0.sharing(promised: promised) == 3 })
            #expect(found.lives == [false, false, false, true, true, true])
            #expect(found.fairShare.spells == [])
            #expect(found.fairShare.sums == [0, 0, 0, 100, 100, 100])
            #expect(found.fairShare.fair == [0, 0, 0, 100, 100, 100])
        }
    }

    @Test("a pod that comes later, or goes earlier, is judged by the time it was there")
    func scaled() throws {
        let found = distribution(rows([30, 30], 10) + rows([20, 20, 20], 10) + rows([60], 10))
        #expect(try abs(#require(jainIndex(found)) - 1) < 1e-12)
        #expect(found.counts == [1100, 500, 200] && found.lives == [true, false, false])
    }

    @Test("a second in which pods came or went is held against none of them")
    func transition() throws {
        for promised in [0, 3] {
            let found = distribution(
                rows([20, 20, 20], 10) + [[30, 4, 4]] + [[50, 0, 0, 2, 3]]
                    + rows([20, 0, 0, 20, 20], 10), promised: promised)
            #expect(try abs(#require(jainIndex(found)) - 1) < 1e-9)
            #expect(found.windows[10].partial == [1, 2] && found.windows[11].partial == [3, 4])
            #expect(found.fairShare.spells == [])
        }
    }

    @Test("a pod that holds a connection and gets nothing is alive, and its share is missing")
    func starved() {
        let found = distribution(rows([20, 20], 10) + rows([40, -1], 30))
        #expect(found.fairShare.spells == [.init(pod: 1, from: .seconds(10), until: nil)])
        #expect(found.lives == [true, true])
        #expect(found.windows[20].sharing(promised: 0) == 2)
        #expect((jainIndex(found) ?? 1) < 0.7)
    }

    @Test("a pod that answers nothing but errors counts, though it was numbered last")
    func onlyErrors() throws {
        for rest in [[-1], [-1, -1, -1]] {
            let found = distribution(rows([20, 20] + rest, 30))
            let pods = 2 + rest.count
            #expect(found.counts == [600, 600] + rest.map { _ in 0 })
            #expect(found.lives == Array(repeating: true, count: pods))
            #expect(found.windows[20].sharing(promised: 0) == pods)
            #expect(try abs(#require(jainIndex(found)) - 2 / Double(pods)) < 1e-9)
            #expect(found.fairShare.spells.map(\.pod) == Array(2..<pods))
        }
    }

    @Test("a name that was known in the first second, and had no answer in it, is no trouble")
    func knownBeforeItAnswered() {
        let found = distribution(rows([0, 20], 1) + rows([20, 20], 5))
        #expect(found.lives == [true, true])
        #expect(found.fairShare.spells == [])
    }

    @Test("without a connection it is gone, unless it was promised")
    func gone() throws {
        let seconds = rows([20, 20], 10) + rows([40, 0], 30)
        let gone = distribution(seconds)
        #expect(gone.lives == [true, false] && gone.fairShare.spells == [])
        #expect(try abs(#require(jainIndex(gone)) - 1) < 1e-12)
        let promised = distribution(seconds, promised: 2)
        #expect(promised.lives == [true, true])
        #expect(promised.fairShare.spells == [.init(pod: 1, from: .seconds(10), until: nil)])
        // One that nobody has ever seen is missing all the same.
        let unseen = distribution(rows([30], 10), promised: 3)
        #expect(try abs(#require(jainIndex(unseen)) - 1.0 / 3) < 1e-12)
    }

    @Test("a promise is kept by names that live, then by those that lived last")
    func fill() {
        let found = distribution(
            rows([20, 20, 20], 10) + rows([20, 0, 0, 20], 10) + rows([30, 0, 0, 30, 0], 10)
                + rows([20, 0, 0, 20, 20], 10), promised: 3)
        #expect(found.lives == [true, false, false, true, true])
        // Two names were gone together, one place was left: the first one's.
        #expect(found.windows[15].silent == [1] && found.windows[35].silent == [])
        let spell = FairShare.Spell(
            pod: 1, from: .seconds(10), until: .seconds(30), isGone: true)
        #expect(found.fairShare.spells == [spell])
    }

    @Test("a pod that is silent for a few seconds between two answers was there all the time")
    func sparse() {
        let seconds = rows([3, 1], 1) + rows([3, 0], 4)
        let found = distribution(Array(repeating: seconds, count: 4).flatMap { $0 } + [[3, 1]])
        #expect(found.windows.allSatisfy { $0.sharing(promised: 0) == 2 })
        let longer = distribution([[3, 1]] + rows([3, 0], 5) + [[3, 1]])
        #expect(longer.windows.map { $0.sharing(promised: 0) } == [2, 1, 1, 1, 1, 1, 2])
        #expect(found.windows.allSatisfy { $0.partial == [] })
        #expect(longer.windows[0].partial == [1] && longer.windows[6].partial == [1])
    }

    @Test("a long run keeps a bounded series: neighbours become one, nothing is lost")
    func bounded() throws {
        let seconds = rows([2, 2], 1500) + rows([0, 0, 2, 2], 1500)
        let found = distribution(seconds, limit: 100)
        #expect(found.windows.count <= 100 && found.grain == 32)
        #expect(found.windows.suffix(5).allSatisfy { $0.seconds == 1 })
        for series in [found.windows, found.series] {
            #expect(series.reduce(0) { $0 + $1.total } == 12_000)
            #expect(series.reduce(0) { $0 + $1.seconds } == 3000)
            for (window, next) in zip(series, series.dropFirst()) {
                #expect(window.start + window.seconds == next.start)
            }
        }
        #expect(found.series.dropLast().allSatisfy { $0.seconds == 32 })
        // How even it was is known to the second all the same.
        #expect(try abs(#require(jainIndex(found)) - 1) < 1e-9)
    }

    @Test("spells of a pod that flaps for ever are counted and not kept")
    func flapping() {
        let found = distribution(
            Array(repeating: rows([20, 20], 6) + rows([40, -1], 6), count: 1010).flatMap { $0 })
        #expect(found.fairShare.spells.count == 1000 && found.fairShare.furtherSpells == 10)
        #expect(found.fairShare.spells.allSatisfy { $0.until != nil })
    }

    @Test("a pod that is below from the beginning is so from the beginning")
    func fromStart() {
        #expect(
            spells(rows([30, 2], 10)) == [FairShare.Spell(pod: 1, from: .zero, until: nil)])
    }
}
