import JSONCodec
import Pacing
import Reactor
import Telemetry

/// What a client tells about its test: the last line, `/status` and `/metrics`.
extension EgressClientService {
    /// The result in one line, with how wrong it may be.
    public var summary: String {
        guard let machine = prober?.machine else { return "egw client: not started" }
        var line = "egw client: "
        if let delay = machine.delay {
            let bounds = ProbeEvidence.Kind.allCases.compactMap { kind in
                machine.uncertainty(kind).map { "\(GoDuration($0)) \(kind.rawValue)" }
            }
            line += "masquerade delay \(GoDuration(delay)), uncertainty "
            line += bounds.isEmpty ? "unknown" : bounds.joined(separator: ", ")
        } else {
            line += machine.phase == .failed ? "no answer" : "no answer yet"
        }
        line += ", \(machine.probes) probes, \(machine.missCount) misses"
        let kinds = MissKind.allCases.filter { machine.misses($0) > 0 }
            .map { "\($0.words) \(machine.misses($0))" }
        if !kinds.isEmpty { line += " (\(kinds.joined(separator: ", ")))" }
        if let stress, let elapsed = stress.elapsed {
            line +=
                ", stress: \(stress.machine.opened) connections opened in \(GoDuration(elapsed))"
            line += ", \(stress.machine.closed) closed"
            if let end = stress.machine.end { line += ", \(end.rawValue)" }
        }
        return line
    }

    private var phase: String {
        guard let machine = prober?.machine else { return "starting" }
        if let stress, !stress.machine.isFinished {
            return stress.startedAt == nil ? "waiting" : "stressing"
        }
        switch machine.phase {
        case .idle: return "starting"
        case .probing: return "probing"
        case .settling: return "settling"
        case .done: return "done"
        case .failed: return "failed"
        }
    }

    func writeStatus(to writer: inout JSONWriter) {
        writer.member("phase", string: phase)
        writer.member("ready", bool: isFinished)
        writer.member("target", string: configuration.target.description)
        writer.member("startsource", string: configuration.start.source.rawValue)
        writer.member(
            "startuncertaintyms", double: configuration.start.uncertainty.inMilliseconds)
        writer.member("intervalms", double: configuration.interval.inMilliseconds)
        guard let prober else { return }
        let machine = prober.machine
        func write(_ name: StaticString, _ moment: Instant?) {
            guard let moment, let time = prober.wallClock.wallClock(of: moment) else {
                return writer.memberNull(name)
            }
            writer.member(name, string: time.description)
        }
        write("startedat", configuration.start.moment)
        if let hit = machine.hit {
            write("masqueradedat", hit.connected)
            writer.member("delayms", double: (hit.connected - machine.origin).inMilliseconds)
            writer.member("connectms", double: (hit.connected - hit.start).inMilliseconds)
        }
        write("notbefore", machine.notBefore(.proven))
        writer.member("uncertaintyms", milliseconds: machine.uncertainty(.proven))
        write("presumednotbefore", machine.notBefore(.presumed))
        writer.member("presumeduncertaintyms", milliseconds: machine.uncertainty(.presumed))
        writer.member("probes", integer: machine.probes)
        writer.member("inflight", integer: machine.inFlight)
        writer.member("surplus", integer: machine.surplus)
        writer.member("skipped", integer: machine.skipped)
        writer.member("longestroundtripms", milliseconds: machine.evidence.longestRoundTrip)
        writer.key("misses")
        writer.beginObject()
        for kind in MissKind.allCases {
            writer.key(kind.words)
            writer.integer(machine.misses(kind))
        }
        writer.endObject()
        writeStress(to: &writer)
    }

    private func writeStress(to writer: inout JSONWriter) {
        guard let stress else { return }
        let machine = stress.machine
        writer.key("stress")
        writer.beginObject()
        writer.member("opened", integer: machine.opened)
        writer.member("closed", integer: machine.closed)
        writer.member("open", integer: machine.open)
        writer.member("dialing", integer: machine.dialing)
        writer.member("targetfailures", integer: machine.targetFailures)
        writer.member("localfailures", integer: machine.localFailures)
        writer.member("elapsedms", milliseconds: stress.elapsed)
        writer.member("trackingentries", integer: machine.trackingEntries(at: loop.now))
        if let end = machine.end { writer.member("end", string: end.rawValue) }
        writer.endObject()
    }

    func writeMetrics(to text: inout PrometheusText) {
        guard let machine = prober?.machine else { return }
        text.family(
            "egw_scale_test_leaked_requests_total", .counter,
            help: "Probes that the target or the path did not answer with pong.")
        text.sample(machine.leaks)
        text.family(
            "egw_scale_test_masquerade_delay_seconds_total", .counter,
            help: "From the start of the client to the first connection that was answered.")
        text.sample(machine.delay?.inSeconds ?? 0)
        text.family(
            "egw_scale_test_failed_tests_total", .counter,
            help: "Tests that ended without an answer.")
        text.sample(machine.phase == .failed && machine.hit == nil ? 1 : 0)
        text.family(
            "egw_scale_test_misses_total", .counter,
            help: "Probes that did not get the target's answer, by what they got.")
        for kind in MissKind.allCases {
            text.sample(machine.misses(kind), [("kind", kind.words)])
        }
        text.family(
            "egw_scale_test_probes_total", .counter,
            help: "Probes sent, but for those that the first answer made superfluous.")
        text.sample(machine.probes)
        let bounds = ProbeEvidence.Kind.allCases.compactMap { kind in
            machine.uncertainty(kind).map { ($0, kind.rawValue) }
        }
        if !bounds.isEmpty {
            text.family(
                "egw_scale_test_uncertainty_seconds", .gauge,
                help: "By so much the delay may be too long: proven by a target that closed, "
                    + "or presumed from refusals and silence.")
            for (width, kind) in bounds { text.sample(width.inSeconds, [("evidence", kind)]) }
        }
        (stress?.machine.load ?? machine.load).write(to: &text, now: loop.now)
        guard configuration.stress != nil else { return }
        text.family(
            "egw_scale_test_stress_connections_total", .counter,
            help: "Connections opened, and closed although the client did not close them.")
        text.sample(stress?.machine.opened ?? 0, [("operation", "open")])
        text.sample(stress?.machine.closed ?? 0, [("operation", "close")])
        text.family(
            "egw_scale_test_stress_failures_total", .counter,
            help: "Dials that failed, by whose fault it was.")
        text.sample(stress?.machine.targetFailures ?? 0, [("fault", "target")])
        text.sample(stress?.machine.localFailures ?? 0, [("fault", "local")])
        text.family(
            "egw_scale_test_stress_connection_latency_seconds", .histogram,
            help: "From dial to connection.")
        text.sample(stress?.machine.latency ?? StressMachine(configuration: .init()).latency)
    }
}

extension JSONWriter {
    /// `null` where it is not known.
    fileprivate mutating func member(_ name: StaticString, milliseconds time: Duration?) {
        if let time { member(name, double: time.inMilliseconds) } else { memberNull(name) }
    }
}
