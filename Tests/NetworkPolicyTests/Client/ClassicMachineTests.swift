import Pacing
import Testing

@testable import NetworkPolicy

@Suite struct ClassicMachineTests {
    private let t0 = Instant(nanoseconds: 3_600_000_000_000)

    @Test(
        "targets wait behind the timeouts of those before them; none is lost",
        arguments: [true, false])
    func serialWithinBatches(usesGate: Bool) {
        let count = 150
        var random = SeededRandom(seed: 4)
        var network = SimulatedNetwork(
            changes: (0..<count).map { _ in t0 + random.duration(in: .seconds(1) ... .seconds(20)) }
        )
        var configuration = ClassicMachine.Configuration()
        configuration.parallel = 3
        configuration.usesGate = usesGate
        var machine = ClassicMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(600))
        #expect(machine.ledger.pending == 0)
        #expect(network.peakInFlight <= 3)
        for target in 0..<count {
            guard let result = machine.ledger[target] else { continue }
            #expect(result.moment >= network.changes[target])
            #expect((result.notBefore ?? t0) <= network.changes[target])
        }
        #expect(network.actionCounts["answered"] == count)
    }

    @Test("far more failed targets than any bounded queue would hold do not bring it to a halt")
    func manyFailures() {
        let count = 2000
        var network = SimulatedNetwork(changes: (0..<count).map { _ in t0 + .seconds(60) })
        network.blocked = .reject
        var configuration = ClassicMachine.Configuration()
        configuration.usesGate = false
        var machine = ClassicMachine(policies: Array(0..<count), configuration: configuration)
        network.run(&machine, until: t0 + .seconds(120))
        #expect(machine.ledger.pending == 0)
        #expect(machine.ledger.failedTargets == count)
    }

    @Test("while the gate is closed only the sentinels are probed, once a second")
    func gate() {
        var network = SimulatedNetwork(changes: (0..<40).map { _ in t0 + .seconds(3600) })
        network.blocked = .reject
        var machine = ClassicMachine(policies: Array(0..<40), configuration: .init())
        network.run(&machine, until: t0 + .milliseconds(9500))
        #expect(machine.ledger.probes == 30)
    }
}
