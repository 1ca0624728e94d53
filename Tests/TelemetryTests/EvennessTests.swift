import Telemetry
import Testing

@Suite struct EvennessTests {
    @Test("Jain's index and max/mean at their ends and in between")
    func indexes() throws {
        #expect(Evenness.jainIndex([7, 7, 7]) == 1 && Evenness.imbalance([7, 7, 7]) == 1)
        let one = try #require(Evenness.jainIndex([9, 0, 0]))
        #expect(abs(one - 1.0 / 3) < 1e-12 && Evenness.imbalance([9, 0, 0]) == 3)
        #expect(Evenness.jainIndex([1, 2, 3]) == 36.0 / 42)
        #expect(Evenness.imbalance([1, 2, 3]) == 1.5)
        #expect(Evenness.jainIndex([0, 0]) == nil && Evenness.imbalance([]) == nil)
    }
}
