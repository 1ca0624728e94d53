import Pacing
import ProxyReload
import Report
import Telemetry

/// The tables of a bench's page.
struct ReloadTables {
    private let timeline: ReloadTimeline
    private let windows: [EventWindow]

    init(_ report: BenchReport) {
        timeline = report.timeline
        windows = timeline.windows
    }

    private func name(_ window: EventWindow) -> String {
        "\(window.index + 1)  \(window.event.isMark ? "mark" : window.event.command)"
    }

    var events: Table {
        Table(
            caption: "From the start of each event to the next, or as long as its window lasts",
            columns: [
                .text("event"), .number("at"), .number("took"), .text("result"),
                .number("window"), .number("requests"), .number("failures"),
                .number("front changed"), .number("back changed"),
            ],
            rows: windows.map { window in
                let (event, period) = (window.event, window.window)
                let start = event.startNanoseconds
                let result =
                    event.isMark
                    ? FigureText.nothing
                    : event.result.isEmpty ? "still running" : event.result
                return [
                    .init(name(window)), .moment(.nanoseconds(start)),
                    .duration(event.endNanoseconds.map { .nanoseconds($0 - start) }),
                    .init(result, tone: event.isGood ? .plain : .bad),
                    .duration(.nanoseconds(period.endNanoseconds - period.startNanoseconds)),
                    .count(period.requests), failures(period.failureCount),
                    .count(period.frontChanges), .count(period.backChanges),
                ]
            })
    }

    /// The window against what came before.
    var latencies: Table {
        let percents = [("p50", 50.0), ("p99", 99), ("max", 100)]
        return Table(
            caption: "Latency from the start of each event, and before it",
            columns: [.text("event")]
                + percents.flatMap { [.number("\($0.0) before"), .number($0.0)] },
            rows: windows.map { window in
                [.init("event \(window.index + 1)")]
                    + percents.flatMap { percent in
                        [window.before?.latency, window.window.latency].map {
                            .duration($0?.percentile(percent.1))
                        }
                    }
            })
    }

    /// Nil where nobody came or went.
    var changes: Table? {
        func row(
            _ window: EventWindow, _ instance: UInt16, _ what: String, _ since: Int64,
            _ silence: Silence? = nil
        ) -> [Table.Cell] {
            let name = timeline.instances.name(instance)
            return [
                .init("event \(window.index + 1)"), .init(name), .init(what),
                .duration(.nanoseconds(since)),
                silence.map { .count($0.others) } ?? .init(FigureText.nothing),
                silence.map { .count($0.openConnections) } ?? .init(FigureText.nothing),
                .init(silence?.verdict(on: name) ?? ""),
            ]
        }
        let rows = windows.flatMap { window in
            window.appeared.map {
                row(window, $0.instance, "first answer", $0.sinceStartNanoseconds)
            }
                + window.returned.map {
                    row(window, $0.instance, "answers again", $0.sinceStartNanoseconds)
                }
                + window.silences.map {
                    row(window, $0.instance, "last answer", $0.sinceStartNanoseconds, $0)
                }
        }
        if rows.isEmpty { return nil }
        return Table(
            caption: "Who came and fell silent, counted from the start of the event",
            columns: [
                .text("event"), .text("instance"), .text("what"), .number("after"),
                .number("answers of others since"), .number("connections open to it"),
                .text("therefore"),
            ],
            rows: rows)
    }

    private static let windowLimit = 8

    var kinds: Table {
        let shown = windows.filter { $0.window.failureCount + $0.window.localCount > 0 }
            .prefix(Self.windowLimit)
        func rows(
            _ counts: [RequestOutcome: Int], tone: Tone,
            _ part: (TimelinePeriod) -> [RequestOutcome: Int]
        ) -> [[Table.Cell]] {
            counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { kind, count in
                [.init("\(kind)"), .count(count, tone: tone)]
                    + shown.map { .count(part($0.window)[kind] ?? 0) }
            }
        }
        return Table(
            caption: "By kind; what is local is this machine's own trouble, and no failure",
            columns: [.text("kind"), .number("in all")]
                + shown.map { .number("event \($0.index + 1)") },
            rows: rows(timeline.total.failures, tone: .bad, \.failures)
                + rows(timeline.total.locals, tone: .plain, \.locals),
            emptyText: "No request failed.")
    }

    private static let failureLimit = 20

    /// One by one; nil where there are none.
    var failures: Table? {
        if timeline.failures.isEmpty { return nil }
        let count = timeline.total.failureCount
        return Table(
            caption: count > Self.failureLimit
                ? "The first \(Self.failureLimit) of \(FigureText.count(count))" : "One by one",
            columns: [.text("at"), .text("client"), .text("kind"), .text("event")],
            rows: timeline.failures.prefix(Self.failureLimit).map { failure in
                let event = timeline.events.lastIndex {
                    $0.startNanoseconds <= failure.nanoseconds
                }
                return [
                    .moment(.nanoseconds(failure.nanoseconds)), .init("\(failure.client)"),
                    .init("\(failure.outcome)"),
                    .init(event.map { "\($0 + 1)" } ?? FigureText.nothing),
                ]
            })
    }

    private static let instanceLimit = 64

    var instances: Table {
        let all = timeline.total
        let numbers = all.answering
        var rows = numbers.prefix(Self.instanceLimit).map { number -> [Table.Cell] in
            let share = all.share(of: number)
            return [
                .init(timeline.instances.name(number)), .count(share.answers),
                .percent(Double(share.answers) / Double(max(1, all.latency.count))),
                .moment(.nanoseconds(share.firstNanoseconds)),
                .moment(.nanoseconds(share.lastNanoseconds)),
            ]
        }
        let rest = numbers.dropFirst(Self.instanceLimit)
        func add(_ name: String, _ count: Int) {
            guard count > 0 else { return }
            let share = Double(count) / Double(max(1, all.latency.count))
            rows.append([.init(name), .count(count), .percent(share), "–", "–"])
        }
        add("\(rest.count) more", rest.reduce(0) { $0 + all.share(of: $1).answers })
        add("no instance named", Int(clamping: all.latency.count) - all.answers)
        return Table(
            columns: [
                .text("instance"), .number("answers"), .number("share"),
                .number("first answer"), .number("last answer"),
            ], rows: rows, emptyText: "No request was answered.")
    }

    private func failures(_ count: Int) -> Table.Cell {
        .count(count, tone: count > 0 ? .bad : .plain)
    }
}
