import ArgumentParser
import Reactor

/// The files for a run's results, opened before the run: nobody should wait for figures that cannot
/// be kept.
final class ResultFiles {
    private let paths: [String]
    private var files: [String: OutputFile] = [:]

    init(_ paths: [String?]) { self.paths = paths.compactMap { $0 } }

    /// Makes or empties all of them.
    func open() throws(UVError) {
        for path in paths { files[path] = try OutputFile(path: path) }
    }

    /// Writes one of them; does nothing without a path, or where the run ended before it was open.
    func write(_ path: String?, _ bytes: () -> [UInt8]) throws {
        guard let path, let file = files[path] else { return }
        do {
            try file.write(bytes())
        } catch {
            throw Failure(error)
        }
    }

    /// - Throws: `ValidationError` when two options name the same file.
    static func checkDistinct(_ options: KeyValuePairs<String, String?>) throws {
        var seen: [String: String] = [:]
        for (option, path) in options {
            // A device takes whatever is written to it.
            guard let path, !path.hasPrefix("/dev/") else { continue }
            if let other = seen.updateValue(option, forKey: path) {
                throw ValidationError("\(other) and \(option): expected two different files")
            }
        }
    }
}
