import Result

/// The result documents of which those of several pods can be merged.
public enum ResultTables {
    /// Every kind there is.
    public static let all = [longLivedClient, reloadBench]

    /// `sonde longlived client --json`.
    ///
    /// Each client knows the fair shares of the pods that it saw; the largest ones of all stand to
    /// each other as if every client had seen every pod.
    ///
    /// The sum of the pods' peaks of requests in flight is at least the peak of all together, which
    /// nobody knows.
    public static let longLivedClient = ResultTable(
        kind: "longlived-client",
        members: [
            .init("target", .same), .init("connections", .sum), .init("elapsedms", .largest),
            .init("open", .sum), .init("opened", .sum), .init("reconnects", .sum),
            .init("closedidle", .sum), .init("sent", .sum), .init("unsent", .sum),
            .init("answered", .sum),
            .init("lost", .sum), .init("unanswered", .sum), .init("peakinflight", .sum),
            .init("allopenms", .largest), .init("latencyms", .histogram(longLivedStatistics)),
            .init("connectms", .histogram(longLivedStatistics)),
            .init("owndelayms", .histogram(longLivedStatistics)), .init("failures", .sums),
            .init("localfailures", .sums),
            .init("imbalance", .imbalance(array: "pods", count: "count", fair: "fair")),
            .init("jain", .jainIndex(array: "pods", count: "count", fair: "fair")),
            .init(
                "pods",
                .keyed(
                    by: "name",
                    [
                        .init("count", .sum), .init("share", .share(of: "count")),
                        .init("fair", .largest), .init("connections", .sum),
                    ])),
        ],
        columns: [
            .init("connections", "connections"), .init("sent", "sent"),
            .init("answered", "answered"), .init("lost", "lost"),
            .init("reconnects", "reconnects"), .init("p50 ms", "latencyms", "p50"),
            .init("p99 ms", "latencyms", "p99"), .init("max ms", "latencyms", "max"),
            .init("Jain", "jain"),
        ],
        shares: .init(array: "pods", key: "name", count: "count"))

    private static let longLivedStatistics: [(name: String, ResultTable.Statistic)] = [
        ("p50", .percentile(50)), ("p90", .percentile(90)), ("p99", .percentile(99)),
        ("max", .maximum), ("mean", .mean), ("relativeerror", .relativeError),
    ]

    /// `sonde reload bench --json`.
    public static let reloadBench = ResultTable(
        kind: "reload-bench",
        members: [
            .init("url", .same), .init("target", .agreed), .init("clients", .sum),
            .init("loop", .same), .init("rate", .sum), .init("timeoutms", .agreed),
            .init("elapsedms", .largest), .init("sendingms", .largest),
            .init("requests", .sum), .init("requestspersecond", .sum), .init("success", .sum),
            .init("failure", .sum), .init("frontchanged", .sum), .init("backchanged", .sum),
            .init("failures", .sums), .init("local", .sum), .init("localfailures", .sums),
            .init("latency", .histogram(reloadStatistics)),
            .init("coordinatedomissioncorrected", .agreed),
            .init(
                "instances",
                .keyed(
                    by: "name", [.init("answers", .sum), .init("share", .share(of: "answers"))])),
            .init("notnamed", .sum), .init("owndelay", .histogram(reloadStatistics)),
            .init("unsent", .sum), .init("pausedms", .sum), .init("givenup", .sum),
            .init("processorms", .sum),
        ],
        columns: [
            .init("clients", "clients"), .init("requests", "requests"),
            .init("success", "success"), .init("failure", "failure"),
            .init("front changed", "frontchanged"), .init("back changed", "backchanged"),
            .init("p50 ms", "latency", "p50ms"), .init("p99 ms", "latency", "p99ms"),
            .init("max ms", "latency", "maxms"),
        ],
        shares: .init(array: "instances", key: "name", count: "answers"))

    private static let reloadStatistics: [(name: String, ResultTable.Statistic)] = [
        ("count", .count), ("p50ms", .percentile(50)), ("p90ms", .percentile(90)),
        ("p99ms", .percentile(99)), ("p999ms", .percentile(99.9)), ("maxms", .maximum),
        ("meanms", .mean),
    ]
}
