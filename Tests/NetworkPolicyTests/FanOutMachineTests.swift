import Pacing
import Testing

@testable import NetworkPolicy

@Suite struct FanOutMachineTests {
    @Test("two hundred clients that answer after 50 ms are done after 50 ms")
    func together() {
        var net = FanOutSimulation(Array(repeating: .answers(.milliseconds(50)), count: 200))
        net.run()
        #expect(net.finishedAt == .milliseconds(50))
        #expect(net.succeededAt.count == 200)
        #expect(net.sends.count == 200)
        #expect(net.faults == [])
    }

    @Test("a request whose timeout is called late gets a moment more, once: we may have slept")
    func late() {
        let t0 = Instant(nanoseconds: 3_600_000_000_000)
        var machine = FanOutMachine(clients: 2, parallel: 2, seed: 1) { _ in
            RetryMachine.Policy(timeout: .milliseconds(100))
        }
        var actions: [FanOutMachine.Action] = []
        machine.start(now: t0, &actions)
        actions = []
        let awake = t0 + .milliseconds(300)
        machine.tick(now: awake, &actions)
        #expect(actions == [], "our own sleep was held against the client")
        #expect(machine.nextDeadline == awake + .milliseconds(100))
        machine.succeeded(client: 0, attempt: 1, now: awake + .milliseconds(50), &actions)
        #expect(machine.succeededCount == 1 && actions == [])
        machine.tick(now: awake + .milliseconds(250), &actions)
        #expect(actions == [.cancel(client: 1, attempt: 1)], "and again, for ever")
    }

    @Test("a request whose timeout is called in time does not get more")
    func punctual() {
        let t0 = Instant(nanoseconds: 3_600_000_000_000)
        var machine = FanOutMachine(clients: 1, parallel: 1, seed: 1) { _ in
            RetryMachine.Policy(timeout: .milliseconds(100))
        }
        var actions: [FanOutMachine.Action] = []
        machine.start(now: t0, &actions)
        machine.tick(now: t0 + .milliseconds(101), &actions)
        #expect(actions.last == .cancel(client: 0, attempt: 1))
    }

    @Test("with twenty at a time they come in ten rounds, in their order")
    func rounds() {
        var net = FanOutSimulation(
            Array(repeating: .answers(.milliseconds(50)), count: 200), parallel: 20)
        net.run()
        #expect(net.finishedAt == .milliseconds(500))
        #expect(net.mostUnderWay == 20)
        #expect(net.sends.map(\.client) == Array(0..<200))
    }

    @Test("one dead, one silent, one failing and one slow client delay nobody else")
    func oneOfEach() {
        var behaviours = Array(repeating: FanOutSimulation.Behaviour.answers(.zero), count: 100)
        behaviours[3] = .fails(.zero)
        behaviours[4] = .silent
        behaviours[5] = .fails(.milliseconds(20))
        behaviours[6] = .answers(.seconds(9))
        behaviours[7] = .answers(.seconds(11))  // later than its request's timeout, every time
        var net = FanOutSimulation(behaviours, parallel: 10)
        net.run()
        #expect(net.faults == [])
        let healthy = net.succeededAt.filter { ![3, 4, 5, 6, 7].contains($0.key) }
        #expect(healthy.count == 95)
        #expect(healthy.values.allSatisfy { $0 == .zero })
        #expect(net.succeededAt[6] == .seconds(9))
        #expect(net.givenUpAt.keys.sorted() == [3, 4, 5, 7])
        #expect(net.givenUpAt.values.allSatisfy { $0 > .seconds(284) && $0 < .seconds(310) })
        #expect(net.finishedAt == net.givenUpAt.values.max())
    }

    @Test("a client that recovers is done at its first good answer")
    func recovers() {
        var net = FanOutSimulation([.recovers(failures: 5), .recovers(failures: 0)])
        net.run()
        #expect(net.succeededAt.count == 2)
        #expect(net.machine.retryCount == 5)
        #expect(net.sends.filter { $0.client == 0 }.map(\.attempt) == [1, 2, 3, 4, 5, 6])
        let waits = zip(
            net.sends.filter { $0.client == 0 },
            net.sends.filter { $0.client == 0 }
                .dropFirst()
        ).map { $1.at - $0.at - .milliseconds(1) }
        let longest = [100, 200, 400, 800, 1600].map { Duration.milliseconds($0) }
        #expect(zip(waits, longest).allSatisfy { $0 <= $1 && $0 >= $1 / 2 }, "\(waits)")
    }

    @Test(
        "ten thousand clients, a tenth of them silent: the others are served, then those given up")
    func tenThousand() throws {
        let behaviours = (0..<10_000).map { client -> FanOutSimulation.Behaviour in
            client % 10 == 3 ? .silent : .answers(.milliseconds(5))
        }
        var net = FanOutSimulation(behaviours)
        net.run()
        #expect(net.faults == [])
        #expect(net.succeededAt.count == 9_000)
        #expect(net.givenUpAt.count == 1_000)
        #expect(net.mostUnderWay == 256)
        // A thousand silent ones in 256 slots of ten seconds are four rounds at most.
        #expect(try #require(net.succeededAt.values.max()) <= .seconds(40))
        #expect(try #require(net.finishedAt) <= .seconds(360))
    }

    @Test("nobody is tried again before everybody was tried once")
    func freshFirst() throws {
        let behaviours = (0..<1000).map { client -> FanOutSimulation.Behaviour in
            client % 2 == 0 ? .fails(.zero) : .answers(.milliseconds(400))
        }
        var net = FanOutSimulation(behaviours, parallel: 8, giveUp: .seconds(60))
        net.run()
        #expect(net.faults == [])
        let firstRetry = try #require(net.sends.firstIndex { $0.attempt > 1 })
        #expect(Set(net.sends[..<firstRetry].map(\.client)).count == 1000)
        #expect(net.succeededAt.count == 500)
        #expect(net.givenUpAt.count == 500)
    }

    @Test("whatever the clients do, the limit holds, all are settled once, and it ends in time")
    func anyMix() {
        for seed in 0..<60 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let behaviours = (0..<Int.random(in: 0...120, using: &random)).map { _ in
                Self.anyBehaviour(&random)
            }
            let parallel = Int.random(in: 1...40, using: &random)
            let giveUp = Duration.seconds(Int.random(in: 1...60, using: &random))
            var net = FanOutSimulation(
                behaviours, parallel: parallel, giveUp: giveUp, seed: seed)
            net.run(until: .seconds(100_000))
            #expect(net.faults == [], "seed \(seed)")
            #expect(net.mostUnderWay <= parallel, "seed \(seed)")
            #expect(net.finishedAt != nil, "seed \(seed)")
            #expect(net.succeededAt.count + net.givenUpAt.count == behaviours.count, "seed \(seed)")
            #expect(Set(net.succeededAt.keys).isDisjoint(with: net.givenUpAt.keys))
            #expect(net.machine.nextDeadline == nil)
            // A client is given up no later than its time and one request after its first.
            for (client, moment) in net.givenUpAt {
                let first = net.sends.first { $0.client == client }?.at ?? .zero
                #expect(moment - first <= giveUp + .seconds(10), "seed \(seed), client \(client)")
            }
            for client in behaviours.indices {
                guard case .answers(let delay) = behaviours[client], delay < .seconds(10) else {
                    continue
                }
                #expect(net.succeededAt[client] != nil, "seed \(seed), client \(client)")
            }
        }
    }

    @Test("after a sleep, the first answer read does not time out those that wait behind it")
    func slept() {
        var machine = FanOutMachine(clients: 4, parallel: 4, seed: 1) { _ in
            RetryMachine.Policy(
                timeout: .milliseconds(100), giveUpAfter: .seconds(300), backoff: Backoff())
        }
        var actions: [FanOutMachine.Action] = []
        machine.start(now: Instant(nanoseconds: 0), &actions)
        #expect(actions == (0..<4).map { .send(client: $0, attempt: 1) })
        actions = []
        // Stopped for 300 ms: three answers lie in their sockets, and are read one by one.
        let awake = Instant(nanoseconds: 300_000_000)
        for client in 0..<2 {
            #expect(machine.succeeded(client: client, attempt: 1, now: awake, &actions))
        }
        #expect(machine.failed(client: 2, attempt: 1, now: awake, &actions))
        #expect(actions == [])
        #expect(machine.succeededCount == 2)
        // Time is called afterwards, for the one that really has not answered.
        #expect(machine.nextDeadline == Instant(nanoseconds: 100_000_000))
        // It has a moment more, as its connection may be news of just now.
        machine.tick(now: awake, &actions)
        #expect(actions == [])
        machine.tick(now: awake + .milliseconds(100), &actions)
        #expect(actions.contains(.cancel(client: 3, attempt: 1)))
    }

    @Test("the same seed tries again at the same moments, another seed at others")
    func seeded() {
        func moments(_ seed: UInt64) -> [Duration] {
            var net = FanOutSimulation(
                Array(repeating: .fails(.zero), count: 20), giveUp: .seconds(20), seed: seed)
            net.run()
            return net.sends.map(\.at)
        }
        #expect(moments(5) == moments(5))
        #expect(moments(5) != moments(6))
    }

    @Test("stopping cancels what is under way and nothing else, and nothing is heard afterwards")
    func stopped() {
        var net = FanOutSimulation(
            [.answers(.milliseconds(1)), .silent, .fails(.zero), .silent, .silent], parallel: 4)
        net.run(until: .milliseconds(20))
        let cancelled = net.stop()
        #expect(
            cancelled == [1, 3, 4].map { FanOutMachine.Action.cancel(client: $0, attempt: 1) })
        #expect(net.machine.nextDeadline == nil)
        #expect(net.stop() == [])
        var machine = net.machine
        var actions: [FanOutMachine.Action] = []
        let isTaken = machine.succeeded(client: 1, attempt: 1, now: net.now, &actions)
        machine.tick(now: net.now + .seconds(1000), &actions)
        #expect(!isTaken)
        #expect(actions == [])
    }

    @Test("without any client it is finished as soon as it starts, once")
    func empty() {
        var net = FanOutSimulation([])
        net.run()
        #expect(net.finishedAt == .zero)
        var machine = net.machine
        var actions: [FanOutMachine.Action] = []
        machine.start(now: net.now, &actions)
        #expect(actions == [])
    }

    private static func anyBehaviour(
        _ random: inout SeededRandom
    ) -> FanOutSimulation.Behaviour {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .answers(.milliseconds(Int.random(in: 0...12_000, using: &random)))
        case 1: .fails(.milliseconds(Int.random(in: 0...12_000, using: &random)))
        case 2: .recovers(failures: Int.random(in: 0...4, using: &random))
        default: .silent
        }
    }
}
