import Testing

/// Every rule on small made-up files: it must find what it is for, and nothing else.
@Suite struct RuleTests {
    private func source(_ text: String, at path: String = "Sources/HTTP/A.swift") -> SourceText {
        SourceText(path: path, text: text)
    }

    @Test(
        "an arrow that the table has passes, any other is named",
        arguments: [
            ("Sources/HTTP/A.swift", "import Reactor", true),
            ("Sources/HTTP/A.swift", "public import HTTPTypes", true),
            ("Sources/HTTP/A.swift", "import NetworkPolicy", false),
            ("Sources/HTTP/A.swift", "import Logging", false),
            ("Sources/HTTP/A.swift", "import CLibuv", false),
            ("Sources/HTTP/A.swift", "@testable import Telemetry", false),
            ("Sources/HTTP/A.swift", "@_spi(Raw) import Foundation", false),
            ("Sources/HTTP/A.swift", "  import struct Foundation.Date", false),
            ("Sources/HTTP/A.swift", "import Pacing; import Glibc", false),
            ("Sources/HTTP/A.swift", "// import Foundation", true),
            ("Sources/HTTP/A.swift", "let a = \"import Foundation\"", true),
            ("Sources/Reactor/A.swift", "import CLibuv", true),
            ("Sources/Reactor/A.swift", "import Dispatch", false),
            ("Sources/Reactor/A.swift", "import HTTPCodec", false),
            ("Sources/Telemetry/A.swift", "import JSONCodec", true),
            ("Sources/Telemetry/A.swift", "import Reactor", false),
            ("Sources/Telemetry/A.swift", "import Synchronization", false),
            ("Sources/Pacing/A.swift", "import Telemetry", false),
            ("Sources/NetworkPolicy/A.swift", "import Logging", true),
            ("Sources/NetworkPolicy/A.swift", "import HTTP", true),
            ("Sources/NetworkPolicy/AMachine.swift", "import Pacing", true),
            ("Sources/NetworkPolicy/AMachine.swift", "import HTTP", false),
            ("Sources/NetworkPolicy/AMachine.swift", "import Logging", false),
            ("Sources/sonde/A.swift", "import ArgumentParser", true),
            ("Sources/sonde/A.swift", "import FoundationEssentials", false),
        ])
    func arrows(path: String, text: String, passes: Bool) {
        #expect(importFindings(source("\n\(text)\n", at: path)).isEmpty == passes)
    }

    @Test("no arrow of the table leads upward or in a circle")
    func acyclic() {
        var settled: Set<String> = []
        var open = Rooms.table
        while let (name, _) = open.first(where: { settled.isSuperset(of: $0.value.ours) }) {
            settled.insert(name)
            open[name] = nil
        }
        #expect(open.isEmpty, "in a circle: \(open.keys.sorted())")
        for (name, room) in Rooms.table where room.isPure {
            #expect(room.ours.allSatisfy { Rooms.table[$0]?.isPure == true }, "\(name)")
            #expect(room.external.isEmpty, "\(name)")
        }
    }

    @Test("a file that has no place is named")
    func strays() {
        let good = [
            "Package.swift", "Sources/CLibuv/shim.h", "Sources/HTTP/Server/A.swift",
            "Tests/Vectors/a.txt", ".ci/run",
        ]
        #expect(strayFindings(paths: good) == [])
        let bad = [
            "notes.md", "Sources/README.md", "Sources/Cellar/A.swift", "Sources/HTTP/a.json",
            "Sources/CLibuv/A.swift", "scripts/run.sh",
        ]
        #expect(strayFindings(paths: bad).map(\.path) == bad)
    }

    @Test("code of an article that stands in no test is named")
    func articleCode() {
        let test = SourceText(path: "Tests/A.swift", text: "func a() {\n\n    let b = 1\n}\n")
        func findings(_ code: String) -> [Int] {
            let article = SourceText(
                path: "Sources/A/A.docc/A.md", text: "# A\n\n```swift\n\(code)\n```\n")
            return articleFindings(article, tests: [test]).map(\.line)
        }
        #expect(findings("let b = 1") == [])
        #expect(findings("func a() {\nlet b = 1") == [])
        #expect(findings("let b = 2") == [3])
        #expect(findings("let b") == [3])
    }

    @Test("what .gitignore names is not looked at, at any depth")
    func ignored() {
        let patterns = [".build*", "*.o", "__pycache__/", "/demo.json"]
        for path in [".build-asan", "Tests/P/.build", "a/b.o", "Tests/__pycache__", "demo.json"] {
            #expect(Repository.isIgnored(path, by: patterns), "\(path)")
        }
        for path in ["build", "a/b.os", "Tests/demo.json"] {
            #expect(!Repository.isIgnored(path, by: patterns), "\(path)")
        }
    }

    @Test("a file may have 450 lines of 100 columns, and not one more of either")
    func lengths() {
        let line = String(repeating: "é", count: 100) + "\n"
        let full = String(repeating: line, count: 450)
        #expect(lengthFindings(source(full)) == [])
        #expect(lengthFindings(source(full + "\n")).map(\.line) == [451])
        #expect(lengthFindings(source("\na\(line)")).map(\.line) == [2])
    }

    @Test(
        "a body may have 60 lines",
        arguments: [
            "func a(_ b: Int = { 1 }()) -> Int {", "init?(b: [Int]) throws {", "deinit {",
            "public static func < (a: A, b: A) -> Bool {", "subscript(a: Int) -> Int {",
            "var body: Int {", "func long(\n    a: Int,\n    b: Int\n) -> Int\nwhere A: B {",
        ])
    func bodies(opening: String) {
        let used = opening.split(separator: "\n").count + 1
        let prose = "  \"}\" /* } */ // }\n"
        func text(lines: Int) -> String {
            opening + "\n" + String(repeating: prose, count: lines - used) + "}\n"
        }
        #expect(functionFindings(source("let z = 0\n" + text(lines: 60))) == [])
        #expect(functionFindings(source("let z = 0\n" + text(lines: 61))).map(\.line) == [2])
    }

    @Test("declarations without a body borrow nobody else's")
    func noBody() {
        let long = String(repeating: "  case a\n", count: 70)
        let texts = [
            "protocol P {\n  func a()\n  init()\n}\nenum E {\n\(long)}",
            "struct S {\n  var a = 1\n  var b: Int\n\n  enum E {\n\(long)}\n}",
            "let s = S.init(a: 1)\nenum E {\n\(long)}",
        ]
        for text in texts { #expect(functionFindings(source(text)) == [], "\(text)") }
    }

    @Test(
        "traps and switched-off checks are named, prose about them is not",
        arguments: [
            ("let a = try! b()", true), ("let a = b as! C", true), ("let a = try? b()", false),
            ("nonisolated(unsafe) var a = 1", true), ("unowned(unsafe) let a: A", true),
            ("// try! is forbidden", false), ("let a = \"try! it\"", false),
            ("let a = \"\\(try! b())\"", true), ("let a = #\"\\(try! b())\"#", false),
            ("let a = \"\"\"\n  \" try! \\\"\n  \"\"\"", false),
            ("/* a /* b */ try! */ let a = 1", false), ("/* a */ try! b()", true),
            ("extension A: @unchecked Sendable {}", true),
            ("// Only read after init.\nextension A: @unchecked Sendable {}", false),
            (".unsafeFlags([])", true), ("let has! = 1", false),
        ])
    func forbidden(text: String, isFound: Bool) {
        #expect(forbiddenFindings(source(text)).isEmpty == !isFound)
    }

    @Test(
        "a pure file that reads a clock or draws from the system is named",
        arguments: [
            ("let now = ContinuousClock().now", true), ("order.shuffle()", true),
            ("order.shuffle(using: &random)", false), ("print(a)", true), ("Task { }", true),
            ("blueprint(a)", false), ("let TaskList = 1", false),
        ])
    func purity(text: String, isFound: Bool) {
        for path in ["Sources/Pacing/A.swift", "Sources/HTTP/AMachine.swift"] {
            #expect(purityFindings(source(text, at: path)).isEmpty == !isFound)
        }
        #expect(purityFindings(source(text, at: "Sources/HTTP/A.swift")) == [])
    }

    @Test(
        "a public declaration without a comment is named",
        arguments: [
            ("public struct A {", true), ("    public var a: Int", true),
            ("public private(set) var a = 1", true), ("public init(a: Int) {", true),
            ("open class A {", true), ("@inlinable public func a() {", true),
            ("/// A.\npublic struct A {", false), ("/// A.\n@inlinable\npublic func a() {", false),
            ("/// A.\n\npublic func a() {", true), ("// A.\npublic func a() {", true),
            ("func a() {", false), ("public static func < (a: A, b: A) -> Bool {", false),
            ("public var description: String {", false), ("public func hash(into h: H) {", false),
            ("public import HTTPTypes", false), ("public func `repeat`() {", true),
            ("public func hashes() {", true),
        ])
    func comments(text: String, isFound: Bool) {
        #expect(commentFindings(source(text)).isEmpty == !isFound)
    }
}
