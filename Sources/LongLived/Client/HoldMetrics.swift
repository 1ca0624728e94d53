import Instrument
import JSONCodec
import Telemetry

/// What a client under way tells over HTTP. Nothing is counted for it: it is read from what the
/// report needs anyway, when somebody asks.
extension HoldClient {
    /// Adds `/metrics`, `/status`, `/healthz` and `/readyz` (ready from the moment the name is
    /// looked up to the end); `control` may outlive the client.
    public func expose(on control: ControlPoint) {
        control.common(
            role: "longlived-client", isReady: { [weak self] in self?.isRunning ?? false },
            status: { [weak self] in self?.writeStatus(to: &$0) },
            metrics: { [weak self] in self?.writeMetrics(to: &$0) })
    }

    private func writeStatus(to writer: inout JSONWriter) {
        let hold = self.hold
        writer.member("target", string: configuration.target.description)
        writer.member("connections", integer: configuration.connections)
        writer.member("open", integer: hold.open)
        writer.member("inflight", integer: hold.inFlight)
        writer.member("sent", integer: hold.sent)
        writer.member("answered", integer: hold.answered)
        writer.member("lost", integer: hold.lost)
        writer.member("reconnects", integer: hold.reconnects)
        writer.member("unsent", integer: hold.unsent)
        writer.member("failures", integer: remoteFailureCount)
        writer.member("localfailures", integer: failureCount - remoteFailureCount)
        if let jainIndex = report.jainIndex {
            writer.member("jain", double: jainIndex)
        } else {
            writer.memberNull("jain")
        }
    }

    private func writeMetrics(to text: inout PrometheusText) {
        writeConnections(to: &text)
        writeRequests(to: &text)
        text.family(
            "sonde_longlived_client_responses_total", .counter,
            help: "Answers with a status of 2xx, by the pod that they name.")
        let counts = zip(podNames, distribution.counts).lazy.map { (name: $0, count: $1) }
        for (label, count) in LabelledCounts(counts).entries {
            text.sample(count, [("server", label)])
        }
        writeEvenness(to: &text)
        text.family(
            "sonde_longlived_client_failures_total", .counter,
            help: "Dials and requests that failed, by what they failed of.")
        for kind in FailureKind.allCases where !kind.isLocal {
            text.sample(failures[kind.index], [("kind", kind.rawValue)])
        }
        text.family(
            "sonde_longlived_client_local_failures_total", .counter,
            help: "The same of this machine's or its name service's own trouble.")
        for kind in FailureKind.allCases where kind.isLocal {
            text.sample(failures[kind.index], [("kind", kind.rawValue)])
        }
        text.family(
            "sonde_longlived_client_latency_seconds", .histogram,
            help: "From a request to its answer, of those with a status of 2xx.")
        text.sample(BucketHistogram(latencies, upperBounds: BucketHistogram.requestSeconds))
        text.family(
            "sonde_longlived_client_connect_seconds", .histogram,
            help: "From dial to connection.")
        text.sample(BucketHistogram(connectTimes, upperBounds: BucketHistogram.requestSeconds))
        text.family(
            "sonde_longlived_client_own_delay_seconds", .histogram,
            help: "How late this process came to do what was due, at every moment of the run.")
        text.sample(BucketHistogram(delays, upperBounds: BucketHistogram.requestSeconds))
    }

    private func writeEvenness(to text: inout PrometheusText) {
        let report = report
        text.family(
            "sonde_longlived_client_sharing_pods", .gauge,
            help: "Pods that share the answers now: alive, or promised.")
        text.sample(report.sharing)
        if let index = report.jainIndex {
            text.family(
                "sonde_longlived_client_jain_index", .gauge,
                help: "Jain's index of all answers, each pod against the time it was there.")
            text.sample(index)
        }
        if let index = report.recentJainIndex {
            text.family(
                "sonde_longlived_client_recent_jain_index", .gauge,
                help: "Jain's index of the answers in the last five seconds.")
            text.sample(index)
        }
    }

    private func writeConnections(to text: inout PrometheusText) {
        let hold = self.hold
        text.family(
            "sonde_longlived_client_connections", .gauge, help: "Connections it is to hold.")
        text.sample(configuration.connections)
        text.family(
            "sonde_longlived_client_open_connections", .gauge, help: "Connections open now.")
        text.sample(hold.open)
        text.family(
            "sonde_longlived_client_opened_total", .counter, help: "Connections that were opened.")
        text.sample(hold.opened)
        text.family(
            "sonde_longlived_client_reconnects_total", .counter,
            help: "Connections that were opened in the place of one that had gone.")
        text.sample(hold.reconnects)
    }

    private func writeRequests(to text: inout PrometheusText) {
        let hold = self.hold
        text.family(
            "sonde_longlived_client_in_flight_requests", .gauge,
            help: "Requests that wait for their answers.")
        text.sample(hold.inFlight)
        text.family("sonde_longlived_client_sent_total", .counter, help: "Requests sent.")
        text.sample(hold.sent)
        text.family(
            "sonde_longlived_client_lost_total", .counter,
            help: "Requests that will not be answered.")
        text.sample(hold.lost)
        text.family(
            "sonde_longlived_client_unsent_total", .counter,
            help: "Requests for which no connection could be opened.")
        text.sample(hold.unsent)
    }
}
