import Pacing

@testable import NetworkPolicy

/// Clients of every kind, answering a `FanOutMachine` in virtual time.
struct FanOutSimulation {
    enum Behaviour {
        /// The right answer, so long after the request.
        case answers(Duration)
        /// An error, so long after every request.
        case fails(Duration)
        /// Nothing at all.
        case silent
        /// An error at once for so many requests, then the right answer.
        case recovers(failures: Int)
    }

    private struct Request {
        var moment: Instant
        var client: Int
        var attempt: Int
        var isSuccess: Bool
    }

    let start = Instant(nanoseconds: 7_000_000_000)
    private(set) var now: Instant
    private(set) var machine: FanOutMachine
    private let behaviours: [Behaviour]
    private var answers: [Request] = []
    private var answerHeap = DeadlineHeap<Int>()
    private var underWay: [Set<Int>]
    private var underWayCount = 0

    private(set) var succeededAt: [Int: Duration] = [:]
    private(set) var givenUpAt: [Int: Duration] = [:]
    private(set) var sends: [(client: Int, attempt: Int, at: Duration)] = []
    private(set) var mostUnderWay = 0
    private(set) var finishedAt: Duration?
    private(set) var faults: [String] = []

    init(
        _ behaviours: [Behaviour], parallel: Int = 256, giveUp: Duration = .seconds(300),
        seed: UInt64 = 1
    ) {
        self.behaviours = behaviours
        now = start
        underWay = Array(repeating: [], count: behaviours.count)
        let policy = RetryMachine.Policy(timeout: .seconds(10), giveUpAfter: giveUp)
        machine = FanOutMachine(
            clients: behaviours.count, parallel: parallel, seed: seed, retry: { _ in policy })
    }

    /// Runs until nothing more happens, or until `limit` of virtual time has passed.
    mutating func run(until limit: Duration = .seconds(3600)) {
        var actions: [FanOutMachine.Action] = []
        machine.start(now: now, &actions)
        carryOut(actions)
        while let moment = [answerHeap.nextDeadline, machine.nextDeadline].compactMap({ $0 })
            .min(),
            moment - start <= limit
        {
            if moment < now { faults.append("a deadline lies in the past") }
            now = max(now, moment)
            actions.removeAll()
            if let answer = answerHeap.popExpired(now: now) {
                deliver(answers[answer], &actions)
            } else {
                machine.tick(now: now, &actions)
            }
            carryOut(actions)
        }
    }

    mutating func stop() -> [FanOutMachine.Action] {
        var actions: [FanOutMachine.Action] = []
        machine.stop(&actions)
        return actions
    }

    private mutating func deliver(_ answer: Request, _ actions: inout [FanOutMachine.Action]) {
        let isAwaited = remove(answer.client, answer.attempt)
        let isTaken =
            answer.isSuccess
            ? machine.succeeded(
                client: answer.client, attempt: answer.attempt, now: now, &actions)
            : machine.failed(client: answer.client, attempt: answer.attempt, now: now, &actions)
        if isTaken != isAwaited { faults.append("an answer was taken though it was cancelled") }
        if isTaken, answer.isSuccess { succeededAt[answer.client] = now - start }
    }

    private mutating func carryOut(_ actions: [FanOutMachine.Action]) {
        for action in actions {
            switch action {
            case .send(let client, let attempt): send(client, attempt)
            case .cancel(let client, let attempt):
                if !remove(client, attempt) {
                    faults.append("cancelled what was not under way")
                }
            case .gaveUp(let client):
                if givenUpAt.updateValue(now - start, forKey: client) != nil {
                    faults.append("given up twice")
                }
            case .finished:
                if finishedAt != nil { faults.append("finished twice") }
                finishedAt = now - start
            }
        }
        mostUnderWay = max(mostUnderWay, underWayCount)
        if underWayCount != machine.inFlight {
            faults.append("counts \(machine.inFlight), not \(underWayCount)")
        }
    }

    private mutating func remove(_ client: Int, _ attempt: Int) -> Bool {
        guard underWay[client].remove(attempt) != nil else { return false }
        underWayCount -= 1
        return true
    }

    private mutating func send(_ client: Int, _ attempt: Int) {
        sends.append((client, attempt, now - start))
        if !underWay[client].isEmpty { faults.append("two requests to one client") }
        underWay[client].insert(attempt)
        underWayCount += 1
        let (delay, isSuccess): (Duration, Bool)
        switch behaviours[client] {
        case .answers(let after): (delay, isSuccess) = (after, true)
        case .fails(let after): (delay, isSuccess) = (after, false)
        case .recovers(let failures): (delay, isSuccess) = (.milliseconds(1), attempt > failures)
        case .silent: return
        }
        let answer = Request(
            moment: now + delay, client: client, attempt: attempt, isSuccess: isSuccess)
        _ = answerHeap.start(answers.count, at: answer.moment)
        answers.append(answer)
    }
}
