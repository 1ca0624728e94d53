import Embedding
import Foundation

/// A program run beside the host's loop, its output read by that loop.
final class Child {
    private let process = Process()
    private let pipe = Pipe()
    private let host: PollLoop

    /// What it has printed so far, on both streams.
    private(set) var output = ""
    /// Whether it has closed its output, as it does at its end.
    private(set) var hasEnded = false

    init(_ arguments: String..., host: PollLoop) throws {
        self.host = host
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        // A proxy of the machine's must not stand between it and loopback.
        process.environment = ProcessInfo.processInfo.environment
            .filter { !$0.key.lowercased().hasSuffix("_proxy") }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let descriptor = pipe.fileHandleForReading.fileDescriptor
        host.watch(descriptor) { [weak self] in self?.read(descriptor) }
    }

    deinit {
        host.unwatch(pipe.fileHandleForReading.fileDescriptor)
        if process.isRunning { process.terminate() }
    }

    /// Its exit code, once it has ended.
    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }

    static func isInstalled(_ program: String) -> Bool {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        return path.split(separator: ":").contains {
            FileManager.default.isExecutableFile(atPath: "\($0)/\(program)")
        }
    }

    private func read(_ descriptor: Int32) {
        let bytes = pipe.fileHandleForReading.availableData
        output += String(decoding: bytes, as: UTF8.self)
        if bytes.isEmpty {
            hasEnded = true
            host.unwatch(descriptor)
        }
    }
}
