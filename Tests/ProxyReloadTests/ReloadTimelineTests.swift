import Pacing
import Telemetry
import Testing

@testable import ProxyReload

private func milliseconds(_ value: Int64) -> Int64 { value * 1_000_000 }

private let ok = RequestOutcome(status: 200)

private func row(
    _ time: Int64, client: Int = 0, _ outcome: RequestOutcome = ok, from instance: UInt16? = 0,
    front: UInt16 = 1, back: UInt16 = 1, latency: Int64 = 1
) -> RequestRecord {
    RequestRecord(
        nanoseconds: milliseconds(time), latencyNanoseconds: milliseconds(latency),
        client: client, outcome: outcome, instance: instance, frontPort: front, backPort: back)
}

private func timeline(clients: Int = 1, window: Duration = .seconds(10)) -> ReloadTimeline {
    var timeline = ReloadTimeline(clients: clients, window: window)
    for name in ["a", "b", "c"] {
        Array(name.utf8).withUnsafeBytes { _ = timeline.instances.number(of: $0) }
    }
    return timeline
}

/// Rows in, counts and windows out.
@Suite struct ReloadTimelineTests {
    @Test("a change is a port other than the client's last known one; the first is none")
    func changes() {
        var timeline = timeline(clients: 2)
        for row in [
            row(1, client: 0, front: 10, back: 20), row(2, client: 1, front: 11, back: 21),
            row(3, client: 0, front: 10, back: 22),  // back
            row(4, client: 0, .refused, from: nil, front: 0, back: 0),
            row(5, client: 0, front: 12, back: 22),  // front: the refused one had no port
            row(6, client: 1, .reset, from: nil, front: 13, back: 0),  // front, although it failed
            row(7, client: 1, front: 13, back: 21),
        ] { timeline.record(row) }
        #expect(timeline.total.frontChanges == 2 && timeline.total.backChanges == 1)
        let half = MomentSet.firstStepNanoseconds / 2  // moments are known to half a step
        func moments(_ set: MomentSet) -> [Int64] { set.moments.map { $0 - half } }
        #expect(
            timeline.lanes.map { moments($0.frontChanges) }
                == [[5], [6]].map { $0.map(milliseconds) })
        #expect(
            timeline.lanes.map { moments($0.backChanges) }
                == [[3], []].map { $0.map(milliseconds) })
        #expect(
            timeline.lanes.map { moments($0.failures) } == [[4], [6]].map { $0.map(milliseconds) })
        #expect(timeline.total.successes == 5 && timeline.total.failureCount == 2)
        #expect(timeline.total.failures == [.refused: 1, .reset: 1])
        #expect(timeline.failures.map(\.outcome) == [.refused, .reset])
    }

    @Test("random rows: every aggregate equals a plain count over all of them")
    func aggregates() {
        var random = SeededRandom(seed: 7)
        var timeline = timeline(clients: 5, window: .milliseconds(300))
        var rows: [RequestRecord] = []
        for index in 0..<20_000 {
            if index % 3000 == 2999 {
                timeline.beginEvent(command: "x", at: milliseconds(Int64(index)))
            }
            let outcomes = [ok, ok, ok, RequestOutcome(status: 502), .reset, .refused]
            let outcome = outcomes[Int.random(in: 0..<6, using: &random)]
            let isAnswered = outcome.isAnswered
            let next = row(
                Int64(index), client: Int.random(in: 0..<5, using: &random), outcome,
                from: isAnswered ? UInt16.random(in: 0..<3, using: &random) : nil,
                front: outcome == .refused ? 0 : UInt16.random(in: 1...3, using: &random),
                back: isAnswered ? UInt16.random(in: 1...4, using: &random) : 0,
                latency: Int64.random(in: 0...50, using: &random))
            rows.append(next)
            timeline.record(next)
        }
        let total = timeline.total
        #expect(total.requests == 20_000)
        #expect(total.successes == rows.count { $0.outcome == ok })
        for outcome: RequestOutcome in [.reset, .refused, RequestOutcome(status: 502)] {
            #expect(total.failures[outcome] == rows.count { $0.outcome == outcome })
        }
        var (fronts, backs) = (0, 0)
        for client in 0..<5 {
            let own = rows.filter { $0.client == client }
            let front = own.map(\.frontPort).filter { $0 != 0 }
            let back = own.map(\.backPort).filter { $0 != 0 }
            fronts += zip(front, front.dropFirst()).count { $0 != $1 }
            backs += zip(back, back.dropFirst()).count { $0 != $1 }
        }
        #expect(total.frontChanges == fronts && total.backChanges == backs)
        let sums = timeline.periods.reduce(into: (0, 0, 0, 0, UInt64(0))) {
            $0.0 += $1.requests
            $0.1 += $1.successes
            $0.2 += $1.frontChanges
            $0.3 += $1.backChanges
            $0.4 += $1.latency.count
        }
        #expect(sums == (20_000, total.successes, fronts, backs, total.latency.count))
        #expect(timeline.events.count == 6 && timeline.windows.count == 6)
        #expect(timeline.bins.bins.reduce(0) { $0 + $1.requests } == 20_000)
        #expect(timeline.bins.bins.reduce(0) { $0 + $1.backChanges } == backs)
        #expect(timeline.bins.bins.reduce(0) { $0 + $1.answers } == Int(total.latency.count))
        #expect(timeline.lanes.reduce(0) { $0 + $1.frontChanges.count } == fronts)
        #expect(timeline.lanes.reduce(0) { $0 + $1.backChanges.count } == backs)
        #expect(timeline.lanes.reduce(0) { $0 + $1.failures.count } == total.failureCount)
        for lane in timeline.lanes { #expect(lane.segments.count <= timeline.segmentLimit) }
        for instance in 0..<3 {
            let sum = timeline.lanes.reduce(0) {
                $0 + $1.segments.reduce(0) { $0 + Int($1.answers[instance]) }
            }
            #expect(sum == total.instances[instance].answers, "merged or not")
        }
        let inLanes = timeline.lanes.reduce(0) { $0 + $1.segments.reduce(0) { $0 + $1.requests } }
        #expect(inLanes == Int(total.latency.count))
    }

    @Test(
        "a window lasts until the next event, or as long as windows do; before is what came before")
    func windows() throws {
        var timeline = timeline(window: .milliseconds(100))
        for time in 0..<50 { timeline.record(row(Int64(time), latency: 1)) }
        timeline.beginEvent(command: "one", at: milliseconds(50))
        for time in 50..<80 { timeline.record(row(Int64(time), latency: 5)) }
        timeline.beginEvent(command: "", at: milliseconds(80))
        for time in 80..<300 { timeline.record(row(Int64(time), latency: 7)) }
        timeline.beginEvent(command: "three", at: milliseconds(300))
        timeline.record(row(300, .reset, from: nil, latency: 9))
        let windows = timeline.windows
        try #require(windows.count == 3)
        #expect(windows.map(\.window.requests) == [30, 100, 1])
        #expect(windows.map { $0.before?.event } == [nil, 0, nil])
        #expect(windows.map { $0.before?.requests } == [50, 30, 120])
        #expect(windows[0].before?.latency.maximum == .milliseconds(1))
        #expect(windows[0].window.latency.maximum == .milliseconds(5))
        #expect(windows[2].window.failures == [.reset: 1])
        #expect(windows[2].window.latency.count == 0, "what is not answered has no latency")
        #expect(windows[1].event.isMark && !windows[0].event.isMark)
        #expect(windows[0].window.endNanoseconds == milliseconds(80))
        #expect(windows[1].window.endNanoseconds == milliseconds(180))
    }

    @Test("who appears, who falls silent and who returns, with the time since the command")
    func instances() throws {
        var timeline = timeline()
        var time: Int64 = 0
        func answers(_ instances: [UInt16], _ count: Int) {
            for index in 0..<count {
                timeline.record(row(time, from: instances[index % instances.count]))
                time += 1
            }
        }
        answers([0, 1], 200)
        timeline.beginEvent(command: "replace a by c", at: milliseconds(time))  // at 200
        answers([0, 1], 20)  // a answers last at 218
        answers([1, 2], 200)  // c first at 221
        timeline.beginEvent(command: "a for b", at: milliseconds(time))  // at 420
        answers([0, 2], 200)  // a again at 420; b answered last at 418, before the event
        timeline.beginEvent(command: "nothing", at: milliseconds(time))
        answers([0, 2], 200)
        let windows = timeline.windows
        try #require(windows.count == 3)
        typealias Change = EventWindow.Change
        #expect(
            windows[0].appeared == [Change(instance: 2, sinceStartNanoseconds: milliseconds(21))])
        #expect(windows[0].silences.map(\.instance) == [0])
        #expect(windows[0].silences.map(\.sinceStartNanoseconds) == [milliseconds(18)])
        #expect(windows[0].silences.map(\.others) == [201])
        #expect(windows[0].returned.isEmpty && windows[1].appeared.isEmpty)
        #expect(windows[1].returned == [Change(instance: 0, sinceStartNanoseconds: 0)])
        #expect(windows[1].silences.map(\.instance) == [1])
        #expect(windows[1].silences.map(\.sinceStartNanoseconds) == [milliseconds(-2)])
        #expect(windows[2].appeared.isEmpty && windows[2].returned.isEmpty)
        #expect(windows[2].silences.isEmpty, "b was silent before: not this event's doing")
        #expect(windows.allSatisfy { $0.vanished.isEmpty }, "two hundred answers prove nothing")
    }

    @Test("a pause that may be chance is no end")
    func pause() {
        var timeline = timeline()
        for time in 0..<100 { timeline.record(row(Int64(time), from: time % 10 == 0 ? 0 : 1)) }
        timeline.beginEvent(command: "x", at: milliseconds(100))
        for time in 100..<230 { timeline.record(row(Int64(time), from: 1)) }
        #expect(timeline.windows[0].silences.isEmpty, "it gave a tenth of the answers: 139 others")
        timeline.record(row(230, from: 1))
        #expect(timeline.windows[0].silences.map(\.instance) == [0])
    }

    @Test("commands end with their result; beyond the limit events are only counted")
    func events() throws {
        var timeline = timeline()
        let begun = timeline.beginEvent(command: "x", at: 5)
        let first = try #require(begun)
        timeline.endEvent(first, result: "exit code 1", isGood: false, at: 9)
        #expect(timeline.events[0].endNanoseconds == 9 && !timeline.events[0].isGood)
        for _ in 1..<ReloadTimeline.eventLimit { timeline.beginEvent(command: "", at: 10) }
        let beyond = timeline.beginEvent(command: "y", at: 11)
        #expect(beyond == nil)
        #expect(timeline.uncountedEvents == 1)
        #expect(timeline.eventNumber == ReloadTimeline.eventLimit)
        timeline.endEvent(99_999, result: "", isGood: true, at: 12)
    }

    @Test("lists are bounded, counts are exact")
    func bounds() {
        var timeline = timeline()
        let count = ReloadTimeline.momentLimit + 500
        for time in 0..<count {
            let port = UInt16(1 + time % 2)
            timeline.record(row(Int64(time), .closed, from: nil, front: port, back: 0))
        }
        #expect(timeline.failures.count == ReloadTimeline.momentLimit)
        #expect(timeline.lanes[0].frontChanges.count == count - 1)
        #expect(timeline.lanes[0].frontChanges.moments.count <= MomentSet.limit)
        #expect(timeline.total.failureCount == count)
        #expect(timeline.total.frontChanges == count - 1)
    }
}

/// The parts of the timeline that a page draws.
@Suite struct TimelinePartTests {
    @Test("bins hold what falls into them, and double their width when they are full")
    func bins() {
        var bins = TimelineBins()
        let step = Int64(5)
        let count = 4 * 1200 * 5  // five times what the first width covers
        for index in 0..<count {
            bins.record(
                row(Int64(index) * step, from: UInt16(index % 40), latency: Int64(index % 7)),
                frontChanged: index % 2 == 0, backChanged: true)
        }
        #expect(bins.widthNanoseconds == milliseconds(160))
        #expect(bins.bins.count == 750)
        #expect(bins.bins.allSatisfy { $0.requests == 32 && $0.backChanges == 32 })
        #expect(bins.bins.allSatisfy { $0.frontChanges == 16 })
        for instance in 0..<40 {
            let sum = bins.bins.indices.reduce(0) {
                $0 + bins.requests(bin: $1, instance: UInt16(instance))
            }
            #expect(sum == (instance < 32 ? count / 40 : count / 5), "instance \(instance)")
        }
        #expect(bins.bins[3].largestLatencyNanoseconds == milliseconds(6))
        #expect(bins.latencyNanoseconds(bins: 750..<751, percent: 50) == nil)
    }

    @Test("a bin's percentiles are within their error of the exact ones")
    func binPercentiles() throws {
        var random = SeededRandom(seed: 3)
        var bins = TimelineBins()
        var values: [Int64] = []
        for _ in 0..<5000 {
            let value = Int64.random(
                in: 300...Int64(1) << Int64.random(in: 9...35, using: &random),
                using: &random)
            values.append(value)
            bins.record(
                RequestRecord(nanoseconds: 5, latencyNanoseconds: value, client: 0, outcome: ok),
                frontChanged: false, backChanged: false)
        }
        values.sort()
        for percent in [1.0, 25, 50, 90, 99, 100] {
            let exact = Double(values[Int((Double(values.count) * percent / 100).rounded(.up)) - 1])
            let latency = bins.latencyNanoseconds(bins: 0..<1, percent: percent)
            let found = Double(try #require(latency))
            #expect(abs(found - exact) <= exact * TimelineBins.relativeError, "p\(percent)")
        }
    }

    @Test("requests that one instance answers in a row are one segment")
    func lane() {
        var lane = ClientLane()
        for (time, instance) in [(10, 0), (20, 0), (30, 1), (40, 0)] as [(Int64, UInt16)] {
            lane.append(row(time, from: instance, latency: 5), limit: 100)
        }
        #expect(lane.segments.map(\.instance) == [0, 1, 0])
        #expect(lane.segments.map(\.requests) == [2, 1, 1])
        #expect(lane.segments.map(\.startNanoseconds) == [5, 25, 35].map(milliseconds))
        #expect(lane.segments.map(\.endNanoseconds) == [20, 30, 40].map(milliseconds))
        #expect(lane.resolutionNanoseconds == 0)
    }

    @Test("an outage ends a segment, although the same instance answers after it")
    func outage() {
        var timeline = timeline()
        timeline.record(row(10))
        timeline.record(row(20))
        timeline.record(row(30, .refused, from: nil, front: 0, back: 0))
        timeline.record(row(40))
        timeline.record(row(50))
        let segments = timeline.lanes[0].segments
        #expect(segments.map(\.requests) == [2, 2])
        #expect(segments.map(\.followsGap) == [false, true])
        #expect(segments.map(\.startNanoseconds) == [9, 39].map(milliseconds))
        #expect(segments.map(\.endNanoseconds) == [20, 50].map(milliseconds))
    }

    @Test("a set of moments counts all of them and knows where they are to half a step")
    func moments() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let end = Int64.random(in: 1_000_000...3_600_000_000_000, using: &random)
            let moments = (0..<300).map { _ in Int64.random(in: 0...end, using: &random) }
            var set = MomentSet()
            for moment in moments { set.insert(moment) }
            #expect(set.count == moments.count)
            let half = set.stepNanoseconds / 2
            let places = set.moments
            #expect(places == places.sorted() && places.count <= MomentSet.limit)
            for moment in moments { #expect(places.contains { abs($0 - moment) <= half }) }
            for place in places { #expect(moments.contains { abs($0 - place) <= half }) }
            #expect(set.stepNanoseconds == 500_000 || end / set.stepNanoseconds >= 1000, "fine")
        }
    }

    @Test("a lane with too many segments becomes coarser, loses no request and stays bounded")
    func coarse() {
        var lane = ClientLane()
        for time in 0..<10_000 {
            lane.append(row(Int64(time), from: UInt16(time % 2), latency: 1), limit: 64)
            #expect(lane.segments.count <= 64)
        }
        // Ten thousand more by one instance: those are one segment still.
        for time in 10_000..<20_000 { lane.append(row(Int64(time), from: 1), limit: 64) }
        #expect(lane.segments.reduce(0) { $0 + $1.requests } == 20_000)
        #expect(lane.resolutionNanoseconds > 0)
        #expect(lane.segments.last?.instance == 1 && lane.segments.last?.isMixed == false)
        #expect((lane.segments.last?.requests ?? 0) > 9000)
        #expect(lane.segments.first?.isMixed == true && lane.segments.first?.instance == nil)
        #expect(
            zip(lane.segments, lane.segments.dropFirst()).allSatisfy {
                $0.endNanoseconds <= $1.endNanoseconds && $0.startNanoseconds < $1.startNanoseconds
            })
    }

    @Test("instances are told apart up to the limit; all others share a number")
    func instanceLimit() {
        var table = InstanceTable()
        func number(_ name: String) -> UInt16 {
            Array(name.utf8).withUnsafeBytes { table.number(of: $0) }
        }
        for index in 0..<InstanceTable.limit { #expect(number("pod-\(index)") == index) }
        #expect(number("one more") == InstanceTable.others)
        #expect(number("and another") == InstanceTable.others)
        for index in (0..<InstanceTable.limit).reversed() {
            #expect(number("pod-\(index)") == index)
        }
        #expect(table.name(7) == "pod-7" && table.name(InstanceTable.others) == "(others)")
    }
}
