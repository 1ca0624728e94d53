import Pacing
import Reactor
import Result
import Telemetry

/// What a client's run finds, told once.
///
/// The results of many clients merge: `delay` then has the delay of every one of them.
public enum EgressClientResult {
    static let target = Figure(
        "target", "target", .text, merging: .same, help: "The external target, as it was given.")
    static let clients = Figure(
        "clients", "clients", merging: .sum, help: "Clients that are in this result.")
    static let answered = Figure(
        "answered", "of them answered", merging: .sum,
        help: "Clients to which the target has answered: whose traffic was masqueraded.")
    static let started = Figure(
        "startedat", "started", .moment, merging: .smallest,
        help: "The start from which delays count; of several, the first.")
    static let startError = Figure(
        "startuncertaintyms", "start known within", .milliseconds, merging: .largest,
        help: "By so much the start may be wrong.")
    static let masqueraded = Figure(
        "masqueradedat", "masqueraded", .moment, merging: .largest, hasBounds: true,
        help: "When the connection stood that was answered first, and since when it may have been "
            + "so, as closes by the target prove; of several, the last.")
    static let delay = Figure(
        "delayms", "delay", .milliseconds, merging: .largest, hasBounds: true,
        help: "From the start to that connection; bounded below by what closes by the target "
            + "prove, and by how well the start is known. Of several clients, the largest.")
    static let presumed = Figure(
        "presumedleastms", "presumed delay at least", .milliseconds, merging: .largest,
        help: "The lower bound that refusals and silence suggest, which a target that is not there "
            + "yet explains as well.")
    static let probes = Figure(
        "probes", "probes", merging: .sum, metric: "egw_scale_test_probes_total",
        help: "Probes sent, but for those that the first answer made superfluous.")
    static let roundTrip = Figure(
        "longestroundtripms", "longest round trip", .milliseconds, merging: .largest,
        help: "From a probe's start to its connection, of the last some dozens.")
    static let skipped = Figure(
        "skipped", "slots passed over", merging: .sum,
        help: "Times for a probe at which this machine was late or had no descriptor.")

    static let missCount = Figure(
        "count", "probes", merging: .sum, metric: "egw_scale_test_misses_total",
        help: "Probes that did not get the target's answer, by what they got.")
    static let misses = ResultKind.Breakdown(
        "misses", "probes without the answer", by: "kind", [missCount],
        help: "Probes that did not get the target's answer, by what they got instead.")

    static let opened = Figure(
        "opened", "connections opened", merging: .sum,
        help: "Connections that the stress opened; unknown without --stress.")
    static let closed = Figure(
        "closed", "of them closed", merging: .sum,
        help: "Connections of the stress that ended although the client did not end them.")
    static let targetFailures = Figure(
        "targetfailures", "dials failed", merging: .sum,
        help: "Dials of the stress that failed at the target or on the way.")
    static let localFailures = Figure(
        "localfailures", "dials failed here", merging: .sum,
        help: "Dials of the stress that this machine could not send.")
    static let stressed = Figure(
        "stressms", "stress took", .milliseconds, merging: .largest,
        help: "From the first dial of the stress to its last.")
    static let openRate = Figure(
        "openedpersecond", "opened a second", .perSecond, merging: .single,
        help: "Connections opened over the time that the stress took.")
    static let end = Figure(
        "end", "stress ended by", .text, merging: .agreed,
        help: "Why the stress opens no more connections.")

    static let delays = ResultKind.Distribution(
        "delay", "delay of the clients", help: "From each client's start to its first answer.")

    /// `sonde egw client`.
    public static let kind = ResultKind(
        name: "egw-client", title: "when traffic was masqueraded through the egress gateway",
        figures: [
            target, clients, answered, started, startError, masqueraded, delay, presumed, probes,
            roundTrip, skipped, opened, closed, targetFailures, localFailures, stressed, openRate,
            end,
        ],
        breakdowns: [misses], distributions: [delays])
}

extension EgressClientService {
    /// What it has found up to now.
    /// - Parameter run: who, when and with what; see `RunRecord`.
    public func result(_ run: RunResult.Run) -> RunResult {
        typealias Key = EgressClientResult
        var result = RunResult(Key.kind, run: run)
        result.configuration = [
            "interval": "\(GoDuration(configuration.interval))",
            "test-timeout": "\(GoDuration(configuration.testTimeout))",
            "stress": "\(configuration.stress != nil)",
        ]
        result[Key.target] = .text(configuration.target.description)
        result[Key.clients] = .integer(1)
        result[Key.answered] = .integer(hasSucceeded ? 1 : 0)
        result[Key.startError] = .milliseconds(configuration.start.uncertainty)
        guard let prober else { return result }
        let machine = prober.machine
        func civil(_ moment: Instant?) -> Measure.Value? {
            moment.flatMap { prober.wallClock.wallClock(of: $0) }.map { .moment($0) }
        }
        func milliseconds(_ moment: Instant?, since start: Instant) -> Measure.Value? {
            moment.map { .number(($0 - start).inMilliseconds) }
        }
        let start = configuration.start
        result[Key.started] = Measure(civil(configuration.start.moment))
        let hit = machine.hit?.connected
        let proven = machine.notBefore(.proven)
        result[Key.masqueraded] = Measure(civil(hit), least: civil(proven), most: civil(hit))
        result[Key.delay] = Measure(
            milliseconds(hit, since: machine.origin),
            least: milliseconds(proven, since: start.latest),
            most: milliseconds(hit, since: start.earliest))
        result[Key.presumed] = Measure(
            milliseconds(machine.notBefore(.presumed), since: start.latest))
        result[Key.probes] = .integer(machine.probes)
        result[Key.roundTrip] = .milliseconds(machine.evidence.longestRoundTrip)
        result[Key.skipped] = .integer(machine.skipped)
        for kind in MissKind.allCases {
            result[Key.misses, kind.words, Key.missCount] = .integer(machine.misses(kind))
        }
        if let delay = machine.delay { result[Key.delays].record(delay) }
        if machine.load.peakEntries > ProbeLoad.modestEntries {
            result.notes.append(machine.load.summary)
        }
        addStress(to: &result)
        return result
    }

    private func addStress(to result: inout RunResult) {
        typealias Key = EgressClientResult
        guard let stress else { return }
        let machine = stress.machine
        result[Key.opened] = .integer(machine.opened)
        result[Key.closed] = .integer(machine.closed)
        result[Key.targetFailures] = .integer(machine.targetFailures)
        result[Key.localFailures] = .integer(machine.localFailures)
        result[Key.stressed] = .milliseconds(stress.elapsed)
        if let elapsed = stress.elapsed, elapsed > .zero {
            result[Key.openRate] = .number(
                Double(machine.opened) / (elapsed.inMilliseconds / 1000))
        }
        result[Key.end] = .text(machine.end?.rawValue)
    }
}
