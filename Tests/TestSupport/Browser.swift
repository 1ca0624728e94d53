import Foundation
import Testing

/// Headless Chromium, as `Tests/Browser/browse.py` drives it.
public enum Browser {
    public static var isInstalled: Bool {
        let browsers = ["chromium", "chromium-browser", "google-chrome"]
        return Program.isInstalled("python3") && browsers.contains(where: Program.isInstalled)
    }

    /// Its looks at a page.
    public static func views(of page: [UInt8]) throws -> [PageView] {
        let folder = try Folder()
        let file = try folder.file("report.html", String(decoding: page, as: UTF8.self))
        let python = try #require(Program.path("python3"))
        let outcome = try Program.run(
            [Program.script("Browser/browse.py"), file],
            executable: URL(fileURLWithPath: python))
        try #require(outcome.code == 0, "browse.py failed: \(outcome.errors)")
        return try PageView.read(outcome.output)
    }
}

/// One look at a page; `browse.py` says what each field is.
public struct PageView: Decodable, Sendable {
    public struct Table: Decodable, Sendable {
        public var caption: String?
        public var columns: [String]
        public var rows: [[String]]
    }
    /// Only how many there are matters: none.
    public struct Message: Decodable, Sendable {}

    public var width: Int
    public var scheme: String
    public var title: String
    public var background: String
    public var scrollWidth: Int
    public var elements: Int
    public var scripts: Int
    public var requests: [String]
    public var console: [Message]
    public var collisions: [[String]]
    public var strays: [String]
    public var figures: [[String]]
    public var tables: [Table]

    /// What `browse.py` has written.
    public static func read(_ text: String) throws -> [PageView] {
        try JSONDecoder().decode([PageView].self, from: Data(text.utf8))
    }

    /// What must hold of every page in every window: it asks for nothing, runs nothing, says
    /// nothing, fits, and none of its words covers another.
    public static func expectSound(
        _ views: [PageView], _ location: SourceLocation = #_sourceLocation
    ) {
        #expect(views.map(\.width) == [1280, 1280, 400, 400], sourceLocation: location)
        for view in views {
            let name = "\(view.width) \(view.scheme)"
            #expect(view.requests.count == 1, "\(name): \(view.requests)", sourceLocation: location)
            #expect(view.console.isEmpty, "\(name)", sourceLocation: location)
            #expect(view.scripts == 0, "\(name)", sourceLocation: location)
            #expect(view.scrollWidth == view.width, "\(name)", sourceLocation: location)
            #expect(
                view.collisions.isEmpty, "\(name): \(view.collisions)", sourceLocation: location)
            #expect(view.strays.isEmpty, "\(name): \(view.strays)", sourceLocation: location)
        }
    }
}
