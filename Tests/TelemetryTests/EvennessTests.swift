import Telemetry
import Testing

@Suite struct EvennessTests {
    private func even(_ counts: [Double]) -> [Evenness.Portion] {
        counts.map { ($0, 1 / Double(counts.count)) }
    }

    private func close(_ value: Double?, _ expected: Double) -> Bool {
        value.map { abs($0 - expected) < 1e-12 } ?? false
    }

    @Test("Jain's index and largest/fair at their ends and in between")
    func indexes() {
        #expect(close(Evenness.jainIndex(even([7, 7, 7])), 1))
        #expect(close(Evenness.imbalance(even([7, 7, 7])), 1))
        #expect(close(Evenness.jainIndex(even([9, 0, 0])), 1.0 / 3))
        #expect(close(Evenness.imbalance(even([9, 0, 0])), 3))
        #expect(close(Evenness.jainIndex(even([1, 2, 3])), 36.0 / 42))
        #expect(close(Evenness.imbalance(even([1, 2, 3])), 1.5))
        #expect(Evenness.jainIndex(even([0, 0])) == nil && Evenness.imbalance(even([])) == nil)
    }

    @Test("unequal fair shares: who had its own is fair, whoever is not listed had nothing")
    func weights() {
        let fair: [Evenness.Portion] = [(60, 0.6), (30, 0.3), (10, 0.1)]
        #expect(close(Evenness.jainIndex(fair), 1) && close(Evenness.imbalance(fair), 1))
        let half: [Evenness.Portion] = [(100, 0.25), (100, 0.25)]
        #expect(close(Evenness.jainIndex(half), 0.5) && close(Evenness.imbalance(half), 2))
        // Three observers who each saw one of three: as if all had seen all.
        let observers: [Evenness.Portion] = [(30, 1), (30, 1), (30, 1)]
        #expect(close(Evenness.jainIndex(observers), 1))
        let one: [Evenness.Portion] = [(60, 1), (0, 1), (0, 1)]
        #expect(close(Evenness.imbalance(one), 3))
        // One that was there for a moment is no measure where others were there for long.
        let moment: [Evenness.Portion] = [(3, 0.01), (97, 0.99)]
        #expect(close(Evenness.imbalance(moment), 97.0 / 99))
    }
}
