import Foundation
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
        expectSound(views)
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
        expectSound(views)
        for view in views {
            #expect(view.title.hasPrefix("</title><script>"))
            #expect(view.elements < 3000)
        }
    }

    private func expectSound(
        _ views: [Browser.View], _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(views.map(\.width) == [1280, 1280, 400, 400], sourceLocation: location)
        for view in views {
            let name = "\(view.width) \(view.scheme)"
            #expect(view.requests.count == 1, "\(name): \(view.requests)", sourceLocation: location)
            #expect(view.messages == 0, "\(name)", sourceLocation: location)
            #expect(view.scripts == 0, "\(name)", sourceLocation: location)
            #expect(view.scrollWidth == view.width, "\(name)", sourceLocation: location)
            #expect(
                view.collisions.isEmpty, "\(name): \(view.collisions)", sourceLocation: location)
            #expect(view.strays.isEmpty, "\(name): \(view.strays)", sourceLocation: location)
        }
    }
}

/// Runs `Tests/Browser/browse.py`, which says what each field is.
enum Browser {
    struct View: Decodable {
        struct Table: Decodable {
            var caption: String?
            var columns: [String]
            var rows: [[String]]
        }
        /// Only how many there are matters: none.
        struct Message: Decodable {}

        var width: Int
        var scheme: String
        var title: String
        var background: String
        var scrollWidth: Int
        var elements: Int
        var scripts: Int
        var requests: [String]
        var console: [Message]
        var collisions: [[String]]
        var strays: [String]
        var figures: [[String]]
        var tables: [Table]
        var messages: Int { console.count }
    }

    static var isInstalled: Bool {
        let browsers = ["chromium", "chromium-browser", "google-chrome"]
        return Program.isInstalled("python3") && browsers.contains(where: Program.isInstalled)
    }

    static func views(of page: [UInt8]) throws -> [View] {
        let folder = try Folder()
        let file = try folder.file("report.html", String(decoding: page, as: UTF8.self))
        let outcome = try Program.run(
            ["python3", Program.script("Browser/browse.py"), file],
            executable: URL(fileURLWithPath: "/usr/bin/env"))
        try #require(outcome.code == 0, "browse.py failed: \(outcome.errors)")
        return try JSONDecoder().decode([View].self, from: Data(outcome.output.utf8))
    }
}
