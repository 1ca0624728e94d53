import ArgumentParser
import Reactor

/// Where a run's results go. Files are opened before the run: nobody should wait for figures that
/// cannot be kept. An earlier file stays until the new one is complete; `-` is standard output.
final class ResultFiles {
    private let paths: [String]
    private var files: [String: OutputFile] = [:]
    private var problem: UVError?

    /// Whether a result goes to standard output, which then holds nothing else.
    let takesStandardOutput: Bool

    /// - Parameter streamed: a path that is written by somebody else during the run.
    init(_ paths: [String?], streamed: String? = nil) {
        self.paths = paths.compactMap { $0 }
        takesStandardOutput = (paths + [streamed]).contains("-")
    }

    /// Opens all of them.
    func open() throws(UVError) {
        for path in paths { files[path] = try OutputFile(replacing: path) }
    }

    /// Writes one of them; does nothing without a path, or where the run ended before it was open.
    /// What goes wrong is told by ``finish(_:)``.
    func write(_ path: String?, _ bytes: () -> [UInt8]) {
        guard let path, let file = files[path] else { return }
        do throws(UVError) {
            try file.write(bytes())
            try file.commit()
        } catch {
            failed(error)
        }
    }

    /// Some output was lost, which the exit code is to say.
    func failed(_ error: UVError) {
        if problem == nil { problem = error }
    }

    /// Prints the summary: to standard output, or to standard error where a result has that.
    /// - Throws: `Failure` (71) when that or something before could not be written.
    func finish(_ text: String) throws {
        if takesStandardOutput {
            StandardStream.error.write(text)
        } else {
            do throws(UVError) {
                try StandardStream.output.deliver(Array(text.utf8))
            } catch {
                failed(error)
            }
        }
        if let problem { throw Failure(problem) }
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

extension StandardStream {
    /// Writes a result.
    /// - Throws: `Failure` (71) when it cannot be written.
    func put(_ bytes: [UInt8]) throws {
        do throws(UVError) {
            try deliver(bytes)
        } catch {
            throw Failure(error)
        }
    }

    /// Writes a result and a line feed, as ``put(_:)`` does.
    func printLine(_ text: String) throws {
        try put(Array((text + "\n").utf8))
    }
}
