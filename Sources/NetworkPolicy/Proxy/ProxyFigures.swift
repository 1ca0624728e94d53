import Telemetry

/// What a proxy has counted of its requests to clients: counters that never go back.
struct ProxyFigures {
    struct Counts {
        var succeeded = 0
        var failed = 0
        /// Clients to which no further request was made.
        var givenUp = 0
    }

    private var steps: [ProxyRun.Step: Counts] = [:]

    subscript(step: ProxyRun.Step) -> Counts {
        get { steps[step] ?? Counts() }
        set { steps[step] = newValue }
    }

    mutating func add(_ other: ProxyFigures) {
        for step in ProxyRun.Step.allCases {
            self[step].succeeded += other[step].succeeded
            self[step].failed += other[step].failed
            self[step].givenUp += other[step].givenUp
        }
    }

    func write(to text: inout PrometheusText) {
        text.family(
            "sonde_netpol_proxy_requests_total", .counter,
            help: "Requests to clients that ended, by outcome.")
        for step in ProxyRun.Step.allCases {
            text.sample(
                self[step].succeeded, [("step", step.rawValue), ("outcome", "succeeded")])
            text.sample(self[step].failed, [("step", step.rawValue), ("outcome", "failed")])
        }
        text.family(
            "sonde_netpol_proxy_given_up_total", .counter,
            help: "Clients to which no further request was made.")
        for step in ProxyRun.Step.allCases {
            text.sample(self[step].givenUp, [("step", step.rawValue)])
        }
    }
}
