import Pacing
import Testing

@testable import LongLived

/// The machine against a server that answers late, closes, resets and refuses, under virtual time.
@Suite struct HoldSimulationTests {
    /// What is on its way to the machine.
    private enum Event {
        case opened(Int, UInt32)
        case refused(Int, UInt32)
        case answer(Int, UInt32, keepsAlive: Bool)
        case reset(Int, UInt32)
    }

    private struct World {
        var machine: HoldMachine
        var random: SeededRandom
        var now = Instant(nanoseconds: 1_000_000_000)
        var events = DeadlineHeap<Event>()
        /// By connection; which life of it an event belongs to.
        var life: [UInt32]
        var isOpen: [Bool]
        var isWaiting: [Bool]
        var perSource = [0, 0]
        var source: [Int]
        var dialing = 0
        var answers = 0
        var finished = 0

        mutating func perform(_ actions: [HoldMachine.Action]) {
            for action in actions {
                switch action {
                case .dial(let index, let place):
                    #expect(!isOpen[index] && finished == 0)
                    life[index] &+= 1
                    source[index] = place ?? -1
                    perSource[place ?? 0] += 1
                    dialing += 1
                    let isRefused = Int.random(in: 0..<10, using: &random) == 0
                    let wait = random.duration(in: .zero ... .milliseconds(20))
                    _ = events.start(
                        isRefused ? .refused(index, life[index]) : .opened(index, life[index]),
                        at: now + wait)
                case .send(let index):
                    #expect(isOpen[index] && !isWaiting[index] && finished == 0)
                    isWaiting[index] = true
                    let wait = random.duration(in: .milliseconds(1) ... .seconds(4))
                    let keeps = Int.random(in: 0..<4, using: &random) > 0
                    let isReset = Int.random(in: 0..<10, using: &random) == 0
                    _ = events.start(
                        isReset
                            ? .reset(index, life[index])
                            : .answer(index, life[index], keepsAlive: keeps), at: now + wait)
                case .close(let index), .timedOut(let index): end(index)
                case .finished: finished += 1
                }
            }
        }

        mutating func end(_ index: Int) {
            #expect(isOpen[index])
            isOpen[index] = false
            isWaiting[index] = false
            life[index] &+= 1
            perSource[source[index]] -= 1
        }

        mutating func handle(_ event: Event) {
            var actions: [HoldMachine.Action] = []
            switch event {
            case .opened(let index, let life):
                guard life == self.life[index] else { return }
                dialing -= 1
                isOpen[index] = true
                machine.opened(index, now: now, &actions)
            case .refused(let index, let life):
                guard life == self.life[index] else { return }
                dialing -= 1
                perSource[source[index]] -= 1
                machine.dialFailed(index, .refused, now: now, &actions)
            case .answer(let index, let life, let keepsAlive):
                guard life == self.life[index] else { return }
                isWaiting[index] = false
                answers += 1
                let latency = machine.answered(
                    index, keepsAlive: keepsAlive, now: now, &actions)
                #expect(latency != nil)
            case .reset(let index, let life):
                guard life == self.life[index] else { return }
                end(index)
                #expect(machine.lost(index, hasBegun: false, now: now, &actions) != .nothing)
            }
            perform(actions)
        }
    }

    @Test("every request is answered, lost or in flight, at every moment", arguments: 0..<30)
    func accounts(seed: Int) {
        var configuration = HoldMachine.Configuration()
        configuration.connections = 60
        configuration.requests = seed % 2 == 0 ? 700 : nil
        configuration.duration = .seconds(60)
        configuration.think = .zero ... .seconds(2)
        configuration.timeout = .seconds(3)
        configuration.dialing = 7
        configuration.openRate = seed % 3 == 0 ? 200 : nil
        configuration.sources = 2
        configuration.perSource = 32
        configuration.seed = UInt64(seed)
        var world = World(
            machine: HoldMachine(configuration: configuration),
            random: SeededRandom(seed: UInt64(seed) &* 77),
            life: Array(repeating: 0, count: 60), isOpen: Array(repeating: false, count: 60),
            isWaiting: Array(repeating: false, count: 60), source: Array(repeating: 0, count: 60))
        var actions: [HoldMachine.Action] = []
        world.machine.start(now: world.now, &actions)
        world.perform(actions)
        var turns = 0
        while world.finished == 0, turns < 1_000_000 {
            turns += 1
            let next = [world.events.nextDeadline, world.machine.nextDeadline].compactMap { $0 }
            guard let moment = next.min() else { break }
            world.now = max(world.now, moment)
            while let event = world.events.popExpired(now: world.now) { world.handle(event) }
            actions = []
            if world.machine.nextDeadline.map({ $0 <= world.now }) == true {
                world.machine.tick(now: world.now, &actions)
                world.perform(actions)
            }
            let machine = world.machine
            #expect(machine.sent == machine.answered + machine.lost + machine.inFlight)
            #expect(machine.answered == world.answers)
            #expect(machine.open == world.isOpen.count { $0 })
            #expect(machine.inFlight == world.isWaiting.count { $0 } || machine.isFinished)
            #expect(machine.dialing == world.dialing && world.dialing <= 7)
            #expect(world.perSource.allSatisfy { 0...32 ~= $0 })
        }
        #expect(world.finished == 1 && world.machine.lost > 0 && world.machine.reconnects > 0)
        if configuration.requests != nil {
            let machine = world.machine
            #expect(machine.sent + machine.unsent == 700 && machine.inFlight == 0)
            #expect(machine.unsent > 0)
        } else {
            #expect(world.machine.sent > 700)
        }
    }
}
