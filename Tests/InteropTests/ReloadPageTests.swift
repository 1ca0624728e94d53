import Foundation
import Pacing
import ProxyReload
import Reactor
import Testing

/// The page of a real run, as the program writes it and as a browser shows it.
@Suite(.serialized) struct ReloadPageTests {
    private static var hasPrograms: Bool {
        Browser.isInstalled && Program.isInstalled("nginx")
    }

    @Test(
        "nginx reloaded in mid-run: the page asks for nothing, fits, and counts what the CSV does",
        .enabled(if: hasPrograms, "nginx, python3 or chromium is not installed"))
    func nginx() throws {
        let folder = try Folder()
        let page = "\(folder.path)/report.html"
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            site.report(to: page)
            try site.runReloadedNginx()
        }
        let site = try #require(held)
        let output = try #require(site.output)
        #expect(output.code == 0, "\(output.errors)")
        let line = try #require(output.output.split(separator: "\n").last)
        try #require(site.recount.count > 2)
        #expect(site.recount[0] == line)
        let views = try PageView.read(site.views)
        PageView.expectSound(views)
        for view in views { try check(view, line, site.recount) }
    }

    private func check(_ view: PageView, _ line: Substring, _ recount: [String]) throws {
        let plain = view.figures.prefix(4).map { [$0[0], $0[1].replacing(",", with: "")] }
        #expect(plain.map { "\($0[0]): \($0[1])" }.joined(separator: " ") == line)
        // Each table, too, adds up to what the rows say.
        let clients = try #require(view.tables.first { $0.caption == "Clients" })
        #expect(clients.rows.count == 10)
        for (column, figure) in zip(1...3, plain.dropFirst()) {
            #expect(clients.columns[column] == figure[0])
            #expect(clients.rows.compactMap { Int($0[column]) }.reduce(0, +) == Int(figure[1]))
        }
        let instances = try #require(view.tables.first { $0.columns.first == "instance" })
        let answers = instances.rows.map { "answers \($0[0]): \($0[1])" }
        #expect(answers.sorted() == recount.filter { $0.hasPrefix("answers ") }.sorted())
        let kinds = try #require(view.tables.first { $0.columns.first == "kind" })
        let failed = kinds.rows.compactMap { $0.count > 1 ? Int($0[1]) : nil }.reduce(0, +)
        #expect(failed == Int(plain[1][1]))
        let events = try #require(view.tables.first { $0.columns.contains("took") })
        #expect(events.rows.count == 1 && events.rows[0][3] == "exit code 0")
    }
}
