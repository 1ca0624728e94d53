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
        writer.member("failures", integer: failureCount)
        if let jainIndex {
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
        if let jainIndex {
            text.family(
                "sonde_longlived_client_jain_index", .gauge,
                help: "Jain's fairness index of all answers so far over the pods that answered.")
            text.sample(jainIndex)
        }
        text.family(
            "sonde_longlived_client_failures_total", .counter,
            help: "Dials and requests that failed, by what they failed of.")
        for kind in FailureKind.allCases {
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
    }

    /// Nil without answers.
    private var jainIndex: Double? {
        Evenness.jainIndex(distribution.counts.lazy.map(Double.init))
    }
}
