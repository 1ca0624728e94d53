import Instrument
import Pacing
import Reactor
import TestSupport
import Testing

@Suite struct MachineDriverTests {
    /// Passes on what it is told, and counts down to its deadlines.
    private struct Echo: Machine {
        var deadlines: [Instant] = []
        var ticks = 0
        var nextDeadline: Instant? { deadlines.first }

        mutating func tick(now: Instant, _ actions: inout [Int]) {
            while let first = deadlines.first, first <= now {
                deadlines.removeFirst()
                ticks += 1
                actions.append(-ticks)
            }
        }
    }

    @Test("each action is carried out once, in order, at the time that the machine was told")
    func order() throws {
        try withLoop { loop in
            let driver = MachineDriver(loop: loop, machine: Echo())
            var seen: [Int] = []
            var told: Instant?
            driver.onAction { action, now in
                seen.append(action)
                #expect(now == told)
            }
            driver.step { _, now, actions in
                told = now
                actions = [1, 2, 3]
            }
            #expect(seen == [1, 2, 3])
            driver.close()
        }
    }

    @Test("an action may lead to a further step, whose actions come first")
    func nested() throws {
        try withLoop { loop in
            let driver = MachineDriver(loop: loop, machine: Echo())
            var seen: [Int] = []
            driver.onAction { [unowned driver] action, _ in
                seen.append(action)
                if action == 1 { driver.step { _, _, actions in actions = [11, 12] } }
            }
            driver.step { _, _, actions in actions = [1, 2] }
            #expect(seen == [1, 11, 12, 2])
            driver.close()
        }
    }

    @Test("the machine is ticked at its own deadlines", arguments: [false, true])
    func deadlines(isPrecise: Bool) throws {
        try withLoop { loop in
            let driver = MachineDriver(loop: loop, machine: Echo(), isPrecise: isPrecise)
            var seen: [Int] = []
            driver.onAction { [unowned driver] action, _ in
                seen.append(action)
                if action == -2 { driver.close() }
            }
            driver.step { machine, now, _ in machine.deadlines = [now, now + .milliseconds(2)] }
            #expect(seen == [])
            loop.run()
            #expect(seen == [-1, -2])
            driver.close()
        }
    }

    @Test("a deadline that is withdrawn does not come; one set earlier comes then")
    func rearmed() throws {
        try withLoop { loop in
            let driver = MachineDriver(loop: loop, machine: Echo())
            driver.onAction { [unowned driver] _, _ in driver.close() }
            driver.step { machine, now, _ in machine.deadlines = [now] }
            driver.step { machine, _, _ in machine.deadlines = [] }
            loop.run()
            #expect(driver.machine.ticks == 0)
            driver.step { machine, now, _ in machine.deadlines = [now + .seconds(3600)] }
            driver.step { machine, now, _ in machine.deadlines.insert(now, at: 0) }
            loop.run()
            #expect(driver.machine.ticks == 1)
            #expect(driver.machine.deadlines.count == 1)
            driver.close()
        }
    }

    @Test("once it is closed, nothing is carried out any more, and the machine can be asked")
    func closed() throws {
        try withLoop { loop in
            let driver = MachineDriver(loop: loop, machine: Echo())
            var seen: [Int] = []
            driver.onAction { [unowned driver] action, _ in
                seen.append(action)
                driver.close()
            }
            driver.step { machine, now, actions in
                actions = [1, 2]
                machine.deadlines = [now]
            }
            driver.step { _, _, actions in actions = [3] }
            #expect(seen == [1])
            #expect(driver.machine.deadlines.count == 1)
            driver.close()
        }
    }
}
