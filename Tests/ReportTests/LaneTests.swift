import Pacing
import Testing

@testable import Report

@Suite struct LaneTests {
    private typealias Segment = LaneChart.Segment
    private typealias Block = LaneRaster.Block

    /// A hundred columns of 10 ms.
    private func raster(_ segments: [LaneChart.Segment], categories: Int = 3) -> LaneRaster {
        LaneRaster(
            segments, categories: categories, axis: TimeAxis(.zero ... .seconds(1)), columns: 100)
    }

    private func segment(_ start: Int, _ end: Int, _ category: Int) -> LaneChart.Segment {
        Segment(start: .milliseconds(start), end: .milliseconds(end), category: category)
    }

    @Test("runs of one instance are blocks of full height, gaps are none")
    func runs() {
        let blocks = raster([segment(0, 200, 0), segment(200, 400, 1), segment(500, 1000, 0)])
            .blocks
        #expect(
            blocks == [
                Block(category: 0, first: 0, end: 20, low: 0, high: 6),
                Block(category: 1, first: 20, end: 40, low: 0, high: 6),
                Block(category: 0, first: 50, end: 100, low: 0, high: 6),
            ])
    }

    @Test("a single answer, which has no length, is a column, and a gap on both sides of it")
    func answer() {
        let blocks = raster([segment(0, 200, 0), segment(500, 500, 1), segment(1000, 1000, 2)])
            .blocks
        #expect(
            blocks == [
                Block(category: 0, first: 0, end: 20, low: 0, high: 6),
                Block(category: 1, first: 50, end: 51, low: 0, high: 6),
                Block(category: 2, first: 99, end: 100, low: 0, high: 6),
            ])
    }

    @Test("a change within a column goes to the instance that has more of it")
    func change() {
        let blocks = raster([segment(0, 204, 0), segment(204, 1000, 1)]).blocks
        #expect(
            blocks == [
                Block(category: 0, first: 0, end: 20, low: 0, high: 6),
                Block(category: 1, first: 20, end: 100, low: 0, high: 6),
            ])
    }

    @Test("instances that take turns share the height by their time, in one block each")
    func turns() {
        let segments = (0..<500).map { segment($0 * 2, $0 * 2 + 2, $0 % 3) }
        let blocks = raster(segments).blocks
        #expect(
            blocks == [
                Block(category: 0, first: 0, end: 100, low: 0, high: 2),
                Block(category: 1, first: 0, end: 100, low: 2, high: 4),
                Block(category: 2, first: 0, end: 100, low: 4, high: 6),
            ])
    }

    @Test("a time of turns is shared by the segments that have a part of it")
    func parts() {
        let blocks = raster(
            [(0, 1.0 / 3), (2, 2.0 / 3)].map { category, share in
                Segment(start: .zero, end: .seconds(1), category: category, share: share)
            }
        ).blocks
        #expect(
            blocks == [
                Block(category: 0, first: 0, end: 100, low: 0, high: 2),
                Block(category: 2, first: 0, end: 100, low: 2, high: 6),
            ])
    }

    @Test("ticks side by side are one line along the lane, single ones and failures are strokes")
    func dense() throws {
        func path(_ symbol: LaneChart.MarkKind.Symbol, _ moments: [Int]) throws -> String {
            let chart = LaneChart(
                title: "", span: .zero ... .seconds(1), categories: [],
                markKinds: [.init("m", symbol)],
                lanes: [.init("1", segments: [], marks: [.init(moments.map { .milliseconds($0) })])]
            )
            var markup = Markup()
            chart.write(into: &markup)
            let text = String(decoding: markup.bytes, as: UTF8.self)
            let mark = try #require(text.firstRange(of: "class=\"mark "))
            let rest = text[mark.upperBound...]
            let start = try #require(rest.firstRange(of: "d=\"")).upperBound
            return String(rest[start...].prefix { $0 != "\"" })
        }
        let many = Array(stride(from: 100, to: 900, by: 5))
        let line = try path(.tick, many + [990])
        #expect(line.count { $0 == "h" } == 1 && line.count { $0 == "v" } == 1, "\(line)")
        #expect(line.hasPrefix("M100 "))
        let few = try path(.tick, [100, 105, 500])
        #expect(few.count { $0 == "h" } == 0 && few.count { $0 == "v" } == 3)
        let failures = try path(.failure, many)
        #expect(failures.count { $0 == "v" } == many.count)
    }

    @Test("a lane is always full where something answered, whatever the mixture")
    func full() {
        for seed in 0..<40 as Range<UInt64> {
            var random = SeededRandom(seed: seed)
            var segments: [LaneChart.Segment] = []
            var time = 0
            while time < 1000 {
                let end = time + Int.random(in: 1...(seed % 2 == 0 ? 8 : 90), using: &random)
                segments.append(segment(time, end, Int.random(in: 0..<5, using: &random)))
                time = end
            }
            var filled = Array(repeating: 0, count: 100)
            for block in raster(segments, categories: 5).blocks {
                #expect(block.low < block.high)
                for column in block.first..<block.end { filled[column] += block.high - block.low }
            }
            #expect(filled.allSatisfy { $0 == LaneRaster.levels }, "seed \(seed)")
        }
    }

    @Test("segments that cannot be are left out")
    func nonsense() {
        let bad = [segment(300, 200, 0), segment(0, 100, 7), segment(0, 100, -1)]
        #expect(raster(bad).blocks.isEmpty)
        #expect(raster([segment(-500, -100, 0), segment(2000, 3000, 1)]).blocks.isEmpty)
        #expect(raster([], categories: 0).blocks.isEmpty)
    }

    @Test(
        "a crowd of clients shares a bounded number of lanes and elements; the table has them all")
    func crowd() {
        let page = text(HardPage.html)
        let lanes = page.values(of: "data-lane")
        #expect(lanes.count <= LaneChart.maximumLanes)
        #expect(lanes.count == 44)  // five clients each
        let chart = page.components(separatedBy: "<figure>")[1]
        let perLane = 9 + 3 + 2  // categories, kinds of mark, track and title
        #expect(chart.count(of: "<path") + chart.count(of: "<rect") <= lanes.count * perLane + 60)
        #expect(chart.count(of: "<tr>") == HardPage.lanes + 1)
    }

    @Test("marks beyond one a column are drawn once; all are counted")
    func marks() {
        let moments = (0..<50_000).map { Duration.microseconds($0 * 20) }
        let chart = LaneChart(
            title: "T", span: .zero ... .seconds(1), categories: [],
            markKinds: [.init("failure", .failure), .init("back", .tick)],
            lanes: [.init("1", segments: [], marks: [.init(moments), .init([.zero], count: 77)])])
        let page = text(.lanes(chart))
        let path = page.components(separatedBy: "mark failure\" d=\"")[1].prefix { $0 != "\"" }
        #expect(path.count { $0 == "M" } == 1000)
        #expect(page.contains("data-value=\"50000\">50,000</td>"))
        #expect(page.contains("data-value=\"77\">77</td>"))
        #expect(page.contains("failure: 50,000\nback: 77"))
    }

    @Test("what the lanes of a run say adds up to its counts")
    func synthetic() {
        let run = SyntheticRun.example
        let lanes = run.lanes.lanes
        let sums = (0..<3).map { kind in lanes.reduce(0) { $0 + $1.marks[kind].count } }
        #expect(sums == [run.counts.failure, run.counts.frontChanged, run.counts.backChanged])
        let page = text(SyntheticRun.examplePage)
        for lane in lanes {
            let cells = lane.marks.map {
                "<td class=\"number\" data-value=\"\($0.count)\">\(FigureText.count($0.count))</td>"
            }
            let name = "<th scope=\"row\" class=\"words\">\(lane.name)</th>"
            #expect(page.contains(name + cells.joined()), "\(lane.name)")
        }
    }
}
