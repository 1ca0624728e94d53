import Testing

/// The rules of the house, read off the repository itself.
@Suite struct TidyTests {
    private let paths: [String]
    private let product: [SourceText]
    private let swift: [SourceText]

    init() throws {
        paths = try Repository.paths()
        swift = try paths.filter { $0.hasSuffix(".swift") }.map(Repository.source)
        product = swift.filter { $0.path.hasPrefix("Sources/") }
    }

    @Test("the repository is found, and every kind of room in it")
    func found() {
        #expect(paths.contains("Package.swift"))
        #expect(product.contains { Rooms.isPure($0.path) })
        #expect(product.contains { !Rooms.isPure($0.path) })
    }

    @Test("nothing imports upward, and the product imports no Foundation")
    func imports() {
        expectNone(product.flatMap { importFindings($0) })
    }

    @Test("pure rooms and machines read no clock and no system random numbers")
    func purity() {
        expectNone(product.flatMap(purityFindings))
    }

    @Test("files, functions and lines stay short")
    func lengths() throws {
        let others = try paths.filter { path in
            [".py", ".sh", ".h", ".modulemap", ".ci/run"].contains { path.hasSuffix($0) }
        }.map(Repository.source)
        expectNone((swift + others).flatMap(lengthFindings))
        expectNone(swift.flatMap(functionFindings))
    }

    @Test("nothing in the product traps on outside data or switches checks off")
    func forbidden() throws {
        expectNone(try (product + [Repository.source("Package.swift")]).flatMap(forbiddenFindings))
    }

    @Test("every public declaration says what it is")
    func comments() {
        expectNone(product.flatMap(commentFindings))
    }

    @Test("every file has its place")
    func strays() {
        expectNone(strayFindings(paths: paths))
    }

    @Test("the code of every article is built and run by a test")
    func articles() throws {
        let articles = try paths.filter { $0.contains(".docc/") }.map(Repository.source)
        let tests = swift.filter { $0.path.hasPrefix("Tests/") }
        #expect(articles.contains { $0.lines.contains("```swift") })
        expectNone(articles.flatMap { articleFindings($0, tests: tests) })
    }

    private func expectNone(_ findings: [Finding]) {
        for finding in findings { Issue.record("\(finding)") }
    }
}
