import Foundation

/// The files of this repository as a clean clone would have them.
enum Repository {
    static let top = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Paths from the top, with slashes, in order; without what .gitignore names.
    static func paths() throws -> [String] {
        let ignored = try String(contentsOf: top.appending(path: ".gitignore"), encoding: .utf8)
        let patterns = [".git", ".swiftpm"] + SourceText.split(ignored).map(String.init)
        return try walk("", ignoring: patterns).sorted()
    }

    static func source(_ path: String) throws -> SourceText {
        let text = try String(contentsOf: top.appending(path: path), encoding: .utf8)
        return SourceText(path: path, text: text)
    }

    /// Whether one of .gitignore's patterns names this path. Knows `*`, a leading and a trailing
    /// slash; that is all our .gitignore uses.
    static func isIgnored(_ path: String, by patterns: [String]) -> Bool {
        patterns.contains { pattern in
            let plain = pattern.hasSuffix("/") ? String(pattern.dropLast()) : pattern
            if plain.hasPrefix("/") { return fnmatch(String(plain.dropFirst()), path, 0) == 0 }
            return fnmatch(plain, path.split(separator: "/").last.map(String.init) ?? "", 0) == 0
        }
    }

    private static func walk(_ folder: String, ignoring patterns: [String]) throws -> [String] {
        let names = try FileManager.default.contentsOfDirectory(
            atPath: top.appending(path: folder).path)
        return try names.flatMap { name -> [String] in
            let path = folder.isEmpty ? name : "\(folder)/\(name)"
            if isIgnored(path, by: patterns) { return [] }
            var isFolder: ObjCBool = false
            _ = FileManager.default.fileExists(
                atPath: top.appending(path: path).path, isDirectory: &isFolder)
            return isFolder.boolValue ? try walk(path, ignoring: patterns) : [path]
        }
    }
}
