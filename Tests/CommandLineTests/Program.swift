import Foundation

/// The `sonde` binary that was built beside these tests, run as a user would.
struct Program {
    struct Outcome {
        var code: Int32
        var output: String
        var errors: String
    }

    /// The build folder: the test bundle lies in it, too.
    static var folder: URL {
        #if os(macOS)
        for bundle in Bundle.allBundles where bundle.bundlePath.hasSuffix(".xctest") {
            return bundle.bundleURL.deletingLastPathComponent()
        }
        #endif
        return URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    }

    static var path: URL { folder.appendingPathComponent("sonde") }

    /// Runs to the end and returns everything that was said.
    static func run(
        _ arguments: [String], environment: [String: String] = [:], executable: URL = path
    ) throws -> Outcome {
        let running = try Running(arguments, environment: environment, executable: executable)
        return running.finish()
    }
}

/// A program under way; ended by the test that started it.
final class Running {
    private let process = Process()
    private let output = Pipe()
    private let errors = Pipe()

    init(
        _ arguments: [String], environment: [String: String] = [:],
        executable: URL = Program.path
    ) throws {
        process.executableURL = executable
        process.arguments = arguments
        // Under a sanitizer, what is still allocated at exit is nobody's leak.
        let ours = ["ASAN_OPTIONS": "detect_leaks=0"].merging(environment) { $1 }
        process.environment = ProcessInfo.processInfo.environment.merging(ours) { $1 }
        process.standardOutput = output
        process.standardError = errors
        process.standardInput = FileHandle.nullDevice
        try process.run()
    }

    deinit {
        if process.isRunning { process.terminate() }
    }

    /// Reads the log until a line contains `text`, and returns that line; nil at its end.
    func awaitLog(_ text: String) -> String? {
        var pending = Data()
        while true {
            let data = errors.fileHandleForReading.availableData
            if data.isEmpty { return nil }
            pending.append(data)
            let lines = String(decoding: pending, as: UTF8.self).split(separator: "\n")
            if let line = lines.first(where: { $0.contains(text) }) { return String(line) }
        }
    }

    func terminate() { process.terminate() }

    func interrupt() { process.interrupt() }

    func signal(_ number: Int32) { kill(process.processIdentifier, number) }

    func finish() -> Program.Outcome {
        // Read to the ends first: a full pipe would keep the program from ending.
        let text = output.fileHandleForReading.readDataToEndOfFile()
        let said = errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Program.Outcome(
            code: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: said, as: UTF8.self))
    }
}
