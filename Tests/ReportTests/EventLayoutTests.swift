import Pacing
import Testing

@testable import Report

@Suite struct EventLayoutTests {
    private let axis = TimeAxis(.zero ... .seconds(100))

    private func layout(_ events: [EventMark]) -> EventLayout { EventLayout(events, on: axis) }

    @Test("events with room beside each other share a row, with their whole names")
    func apart() {
        let layout = layout([
            EventMark("reload", start: .seconds(20)), EventMark("add", start: .seconds(60)),
        ])
        #expect(layout.rows == 1)
        #expect(layout.placements.map(\.row) == [0, 0])
        #expect(layout.placements.map(\.label) == ["reload", "add"])
    }

    @Test("events close to each other move to further rows, and past those to a plain line")
    func close() {
        let layout = layout((0..<5).map { EventMark("event", start: .seconds(50 + $0)) })
        #expect(layout.rows == 3)
        #expect(layout.placements.map(\.row) == [0, 1, 2, nil, nil])
        #expect(layout.placements.map(\.number) == [1, 2, 3, 4, 5])
    }

    @Test("a name is cut before it meets the next badge, or the end of the chart")
    func names() {
        let long = "a name that goes on for much longer than there is room for it in this chart"
        let layout = layout([
            EventMark(long, start: .zero), EventMark(long, start: .seconds(30)),
            EventMark(long, start: .seconds(75)), EventMark(long, start: .seconds(97)),
        ])
        let labels = layout.placements.map(\.label)
        #expect(labels[0].hasSuffix("…") && labels[0].count > 20 && labels[0].count < 40)
        #expect(labels[1].hasSuffix("…") && labels[1].count > labels[0].count)
        #expect(labels[3] == "")
    }

    @Test("badges of one row never touch on the narrowest page, and elements stay bounded")
    func crowd() {
        for seed in 0..<20 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            let moments = (0..<300).map { _ in Int.random(in: 0...100_000, using: &random) }
            let layout = layout(
                moments.sorted().map { EventMark("mark", start: .milliseconds($0)) })
            for row in 0..<layout.rows {
                let starts = layout.placements.filter { $0.row == row }.map(\.start)
                for (a, b) in zip(starts, starts.dropFirst()) { #expect(b - a >= 22.0 / 300) }
            }
            #expect(layout.placements.count { $0.row != nil } <= 42)
            var markup = Markup()
            layout.writeMarks(into: &markup, height: 100)
            layout.writeBadges(into: &markup)
            #expect(text(markup.bytes).count(of: "</") <= 42 * 9 + 2)
        }
    }

    @Test("a mark says what happened and when; one that failed looks different")
    func marks() {
        let events = [
            EventMark(
                "reload", start: .seconds(20), end: .milliseconds(20_135), hasFailed: true),
            EventMark("by hand", start: .seconds(40)),
        ]
        var markup = Markup()
        layout(events).writeMarks(into: &markup, height: 100)
        let page = text(markup.bytes).replacing("\u{A0}", with: " ")
        #expect(
            page.contains("<g class=\"event failed\"><title>reload: at 20.0 s, took 135 ms, failed")
        )
        #expect(page.contains("<rect x=\"20%\" y=\"0\" height=\"100\" width=\"0.14%\">"))
        #expect(page.contains("<g class=\"event\"><title>by hand: at 40.0 s</title><line"))
    }
}
