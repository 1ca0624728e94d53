import Instrument
import JSONCodec
import Pacing
import Telemetry

/// What a bench under way tells over HTTP. Nothing is counted for it: it is read from the
/// measurement when somebody asks.
extension Bench {
    /// Adds `/metrics`, `/status`, `/healthz` and `/readyz` (ready while requests are under way);
    /// `control` may outlive the bench.
    public func expose(on control: ControlPoint) {
        control.common(
            role: "reload-bench", isReady: { [weak self] in self?.isMeasuring ?? false },
            status: { [weak self] in self?.report.writeStatus(to: &$0) },
            metrics: { [weak self] in self?.report.writeMetrics(to: &$0) })
    }
}

extension BenchReport {
    func writeStatus(to writer: inout JSONWriter) {
        let total = timeline.total
        writer.member(
            "url", string: "http://\(configuration.url.authority)\(configuration.url.target)")
        writer.member("clients", integer: configuration.clients)
        writer.member("elapsedms", double: Double(elapsedNanoseconds) / 1e6)
        writer.member("inflight", integer: inFlight)
        writer.member("requests", integer: total.requests)
        writer.member("success", integer: total.successes)
        writer.member("failure", integer: total.failureCount)
        writer.member("local", integer: total.localCount)
        writer.member("frontchanged", integer: total.frontChanges)
        writer.member("backchanged", integer: total.backChanges)
        writer.member("events", integer: eventCount)
    }

    func writeMetrics(to text: inout PrometheusText) {
        let total = timeline.total
        text.family(
            "sonde_reload_bench_requests_total", .counter,
            help: "Requests that ended: success is status 200; other statuses, and failures.")
        for (label, count) in outcomes { text.sample(count, [("outcome", label)]) }
        text.family(
            "sonde_reload_bench_local_failures_total", .counter,
            help: "Requests that this machine could not send: nothing of the target's doing.")
        for outcome in RequestOutcome.locals {
            text.sample(total.locals[outcome] ?? 0, [("kind", outcome.label)])
        }
        text.family(
            "sonde_reload_bench_front_changes_total", .counter,
            help: "Requests from another port of the client than its request before.")
        text.sample(total.frontChanges)
        text.family(
            "sonde_reload_bench_back_changes_total", .counter,
            help: "Requests from another port of the proxy than the client's request before.")
        text.sample(total.backChanges)
        text.family(
            "sonde_reload_bench_answers_total", .counter, help: "Answers, by the instance named.")
        for (label, count) in instances { text.sample(count, [("backend", label)]) }
        text.family(
            "sonde_reload_bench_instances", .gauge, help: "Instances that have answered so far.")
        text.sample(total.instances.count { $0.answers > 0 })
        text.family(
            "sonde_reload_bench_events_total", .counter,
            help: "Commands that were run and marks that were set.")
        text.sample(eventCount)
        writeCourse(to: &text)
        text.family(
            "sonde_reload_bench_latency_seconds", .histogram,
            help: "Of answered requests, from their start; in the open loop, from when due.")
        text.sample(BucketHistogram(total.latency, upperBounds: BucketHistogram.requestSeconds))
    }

    /// How it is going, and how well this process keeps up.
    private func writeCourse(to text: inout PrometheusText) {
        text.family("sonde_reload_bench_clients", .gauge, help: "Clients, one connection each.")
        text.sample(configuration.clients)
        text.family(
            "sonde_reload_bench_in_flight_requests", .gauge, help: "Requests without outcome yet.")
        text.sample(inFlight)
        text.family(
            "sonde_reload_bench_paused_seconds_total", .counter,
            help: "For how long no request began because rows were written too slowly.")
        text.sample(held.inSeconds)
        text.family(
            "sonde_reload_bench_own_delay_seconds", .histogram,
            help: "How late the bench itself was: began requests, or at any time in a closed loop.")
        text.sample(BucketHistogram(delays, upperBounds: BucketHistogram.requestSeconds))
        guard configuration.rate != nil else { return }
        text.family(
            "sonde_reload_bench_unsent_requests", .gauge,
            help: "Requests that are due and have not begun.")
        text.sample(unsent)
    }

    private var eventCount: Int { timeline.events.count + timeline.uncountedEvents }

    /// Success and the failures that every network has are there from the beginning, so that a
    /// rate is known from the first of them on.
    private var outcomes: [(label: String, count: Int)] {
        let total = timeline.total
        let statuses = total.failures.filter(\.key.isAnswered).sorted { $0.key < $1.key }
        let counts =
            [(RequestOutcome(status: 200).label, total.successes)]
            + RequestOutcome.unanswered.map { ($0.label, total.failures[$0] ?? 0) }
            + statuses.map { ($0.key.label, $0.value) }
        return LabelledCounts(counts.lazy.map { (name: $0.0, count: $0.1) }, limit: .max).entries
    }

    private var instances: [(label: String, count: Int)] {
        let counts = timeline.total.instances.enumerated().lazy.map {
            (name: timeline.instances.name(UInt16($0)), count: $1.answers)
        }
        return LabelledCounts(counts).entries
    }
}
