import Foundation

/// Programs of this machine, and the `sonde` binary that was built beside these tests.
public enum Program {
    /// What a program said until its end.
    public struct Outcome: Sendable {
        /// The exit code, or the negated number of the signal that ended it.
        public var code: Int32
        public var output: String
        public var errors: String
    }

    /// The build folder: the test bundle lies in it, too.
    private static var folder: URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    }

    /// The `sonde` binary.
    public static var path: URL { folder.appendingPathComponent("sonde") }

    /// The path of a program, or nil where it is not installed.
    public static func path(_ name: String) -> String? {
        let environment = ProcessInfo.processInfo.environment
        let places = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        // Where Tests/Support/proxies.sh puts proxies that Debian does not have.
        let home = environment["HOME"] ?? "/root"
        let cache = environment["XDG_CACHE_HOME"] ?? "\(home)/.cache"
        let more = ["/usr/sbin", "/usr/local/sbin", "\(cache)/sonde/proxies/bin"]
        // The one that was built beside these tests, before any that is installed.
        return ([folder.path] + places + more)
            .map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    public static func isInstalled(_ name: String) -> Bool { path(name) != nil }

    /// A script beside the tests, such as `Browser/browse.py`.
    public static func script(_ name: String) -> String {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent(name).path
    }

    /// Runs `sonde`, or another program, to its end.
    public static func run(
        _ arguments: [String], environment: [String: String] = [:], executable: URL = path
    ) throws -> Outcome {
        try Running(arguments, environment: environment, executable: executable).finish()
    }
}
