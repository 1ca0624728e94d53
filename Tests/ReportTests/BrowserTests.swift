import TestSupport
import Testing

@testable import Report

/// The pages in headless Chromium, as a reader would have them.
@Suite(
    .serialized,
    .enabled(if: Browser.isInstalled, "chromium or python3 is not installed"))
struct BrowserTests {
    @Test("a run's page asks for nothing, fits every window and says what was counted")
    func synthetic() throws {
        let run = SyntheticRun.example
        let views = try Browser.views(of: SyntheticRun.examplePage)
        PageView.expectSound(views)
        #expect(Set(views.map(\.background)).count == 2, "light and dark look the same")
        let counts = run.counts
        for view in views {
            #expect(view.title == "Reverse proxy reconfigured at run time")
            #expect(
                view.figures == [
                    ["success", FigureText.count(counts.success)],
                    ["failure", FigureText.count(counts.failure)],
                    ["front changed", FigureText.count(counts.frontChanged)],
                    ["back changed", FigureText.count(counts.backChanged)],
                ])
            let clients = try #require(view.tables.first { $0.caption == "Clients" })
            #expect(
                clients.columns.prefix(4) == ["client", "failure", "front changed", "back changed"])
            for (column, sum) in zip(
                1...3, [counts.failure, counts.frontChanged, counts.backChanged])
            {
                #expect(clients.rows.compactMap { Int($0[column]) }.reduce(0, +) == sum)
            }
            let instances = try #require(view.tables.first { $0.columns.first == "instance" })
            #expect(
                instances.rows.map { $0[1] }
                    == SyntheticRun.instances.indices.map { instance in
                        "\(run.requests.count { $0.instance == instance })"
                    })
        }
    }

    @Test("a page of hostile text and far too much of everything runs nothing and fits as well")
    func hard() throws {
        let views = try Browser.views(of: HardPage.html)
        PageView.expectSound(views)
        for view in views {
            #expect(view.title.hasPrefix("</title><script>"))
            #expect(view.elements < 3000)
        }
    }
}
