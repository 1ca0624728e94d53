import Pacing
import Telemetry

/// Probes as the older tool does: batches in a fixed number of workers, serially within a batch.
///
///     worker   event                        next      actions
///     free     a batch is queued            probing   launch its first target
///     probing  200                          probing   answered; launch the next of the batch
///     probing  failure, fewer than three    probing   launch the same again
///     probing  third failure                probing   to the failed queue; launch the next
///     probing  end of the batch             free      –
///     any      every 100 ms                 any       the failed queue becomes new batches
///
/// For comparing with figures taken by that tool: a target waits behind the timeouts of all those
/// before it, which is where its seconds of error come from. Unlike there, no queue is bounded, so
/// that a full one cannot bring workers and queue to wait for each other.
struct ClassicMachine: ProbePacing, Sendable {
    struct Configuration: Sendable {
        /// Workers, and probes under way.
        var parallel = 10
        /// Targets in a batch, also when it is tried again.
        var batch = 10
        var usesGate = true
        var idleInterval = Duration.seconds(1)
        /// Policies whose first address is probed while the gate is closed.
        var sentinels = 3
        var timeout = Duration.milliseconds(1500)
        var attempts = 3
        /// What the runs before have asked of the network.
        var load = ProbeLoad()

        init() {}
    }

    private static let retryPause = Duration.milliseconds(100)

    private struct Worker: Sendable {
        var batch: ArraySlice<Int> = []
        var attempt = 0
        /// Nil while it is free.
        var flight: Flight?
    }

    private(set) var ledger: ProbeLedger
    private(set) var isGateOpen: Bool
    private let configuration: Configuration
    private var workers: [Worker]
    private var batches: [ArraySlice<Int>] = []
    /// Batches before this one are taken.
    private var nextBatch = 0
    private var failedQueue: [Int] = []
    private var retryAt: Instant?
    private let sentinels: [Int]
    private var sentinelRoundAt: Instant?
    private var hasFinished = false

    /// - Parameter policies: for each target, a number that stands for its policy.
    init(policies: [Int], configuration: Configuration) {
        self.configuration = configuration
        ledger = ProbeLedger(
            targets: policies.count, expectation: .allow, attempts: configuration.attempts,
            load: configuration.load)
        isGateOpen = !configuration.usesGate
        workers = Array(repeating: Worker(), count: max(configuration.parallel, 1))
        let count = min(max(configuration.sentinels, 1), workers.count)
        sentinels = Sentinels.first(count, policies: policies)
    }

    var inFlight: Int { workers.count { $0.flight != nil } }
    var effectiveInterval: Duration {
        isGateOpen ? ClassicMachine.retryPause : configuration.idleInterval
    }

    var nextDeadline: Instant? {
        let timeouts = workers.compactMap { $0.flight.map { $0.clock + configuration.timeout } }
        return (timeouts + [retryAt, sentinelRoundAt].compactMap { $0 }).min()
    }

    mutating func start(now: Instant, _ actions: inout [ProbeAction]) {
        if ledger.count == 0 {
            finishIfDone(&actions)
        } else if isGateOpen {
            queue(Array(0..<ledger.count))
            feedWorkers(now: now, &actions)
        } else {
            sentinelRoundAt = now
            tick(now: now, &actions)
        }
    }

    mutating func connected(_ number: Int, retransmitted: Bool, now: Instant) {
        guard workers.indices.contains(number), var flight = workers[number].flight else { return }
        flight.setConnected(retransmitted: retransmitted, now: now)
        workers[number].flight = flight
        ledger.connected(flight, now: now)
    }

    mutating func resolving(_ number: Int) {
        if workers.indices.contains(number) { workers[number].flight?.isResolving = true }
    }

    mutating func sent(_ number: Int, now: Instant) {
        guard workers.indices.contains(number) else { return }
        let isLate = isLate(now)
        workers[number].flight?.sent(isLate: isLate, now: now)
    }

    mutating func answered(
        _ number: Int, status: Int, now: Instant, _ actions: inout [ProbeAction]
    ) {
        guard status == 200 else {
            failed(number, .status, now: now, &actions)
            return
        }
        guard let flight = endFlight(number) else { return }
        let wasSettled = ledger.isSettled(Int(flight.target))
        ledger.answered(flight, now: now, &actions)
        // One probe at a time: none is out that could say more.
        if !wasSettled { actions.append(.bounded(target: Int(flight.target))) }
        if !isGateOpen { openGate(&actions) }
        workers[number].attempt = 0
        workers[number].batch = workers[number].batch.dropFirst()
        feedWorkers(now: now, &actions)
        finishIfDone(&actions)
    }

    mutating func failed(
        _ number: Int, _ reason: ProbeFailure, now: Instant, _ actions: inout [ProbeAction]
    ) {
        guard let flight = endFlight(number) else { return }
        ledger.failed(flight, reason, now: now, &actions)
        workers[number].attempt += 1
        if workers[number].attempt >= configuration.attempts, !workers[number].batch.isEmpty {
            workers[number].attempt = 0
            workers[number].batch = workers[number].batch.dropFirst()
            failedQueue.append(Int(flight.target))
            retryAt = retryAt ?? now + ClassicMachine.retryPause
        }
        feedWorkers(now: now, &actions)
    }

    mutating func tick(now: Instant, _ actions: inout [ProbeAction]) {
        for number in workers.indices {
            guard let flight = workers[number].flight,
                flight.clock + configuration.timeout <= now
            else { continue }
            actions.append(.cancel(flight: number))
            failed(number, .timedOut, now: now, &actions)
        }
        if let moment = retryAt, moment <= now {
            retryAt = nil
            queue(failedQueue)
            failedQueue = []
        }
        if let moment = sentinelRoundAt, moment <= now {
            sentinelRoundAt = now + configuration.idleInterval
            for (number, target) in sentinels.enumerated() where workers[number].flight == nil {
                launch(target, worker: number, now: now, &actions)
            }
        }
        feedWorkers(now: now, &actions)
    }

    mutating func stop(_ actions: inout [ProbeAction]) {
        for number in workers.indices where workers[number].flight != nil {
            workers[number] = Worker()
            actions.append(.cancel(flight: number))
        }
        (batches, nextBatch, failedQueue) = ([], 0, [])
        (retryAt, sentinelRoundAt) = (nil, nil)
        hasFinished = true
    }

    // MARK: - Private

    private mutating func openGate(_ actions: inout [ProbeAction]) {
        isGateOpen = true
        sentinelRoundAt = nil
        queue((0..<ledger.count).filter { !ledger.isSettled($0) })
        actions.append(.openedGate)
    }

    private mutating func queue(_ targets: [Int]) {
        for start in stride(from: 0, to: targets.count, by: max(configuration.batch, 1)) {
            batches.append(targets[start..<min(start + max(configuration.batch, 1), targets.count)])
        }
    }

    private mutating func feedWorkers(now: Instant, _ actions: inout [ProbeAction]) {
        guard isGateOpen else { return }
        for number in workers.indices where workers[number].flight == nil {
            skipSettled(number)
            if workers[number].batch.isEmpty, nextBatch < batches.count {
                workers[number].batch = batches[nextBatch]
                workers[number].attempt = 0
                nextBatch += 1
                skipSettled(number)
            }
            guard let target = workers[number].batch.first else { continue }
            launch(target, worker: number, now: now, &actions)
        }
        if nextBatch == batches.count { (batches, nextBatch) = ([], 0) }
    }

    /// A sentinel that answered while its batch waited needs no probe any more.
    private mutating func skipSettled(_ number: Int) {
        while let target = workers[number].batch.first, ledger.isSettled(target) {
            workers[number].batch = workers[number].batch.dropFirst()
        }
    }

    private mutating func launch(
        _ target: Int, worker: Int, now: Instant, _ actions: inout [ProbeAction]
    ) {
        ledger.launched(target, lowerLoad: "--parallel", now: now, &actions)
        var flight = Flight()
        flight.start = now
        flight.clock = now
        flight.target = Int32(target)
        workers[worker].flight = flight
        let attempt = ledger.attempts(of: target)
        actions.append(.launch(flight: worker, target: target, attempt: attempt))
    }

    private mutating func endFlight(_ number: Int) -> Flight? {
        guard workers.indices.contains(number), let flight = workers[number].flight else {
            return nil
        }
        workers[number].flight = nil
        return flight
    }

    private mutating func finishIfDone(_ actions: inout [ProbeAction]) {
        guard !hasFinished, ledger.pending == 0 else { return }
        hasFinished = true
        actions.append(.finished)
    }
}
