import Foundation
import Pacing
import Reactor
import Testing

/// A program under way: started, awaited and ended by the test that has it, by its own id.
///
/// Not by Foundation's `Process`, which leaks itself and hands its blocked signals on to the child.
/// Both streams are read as they come, so that no pipe fills; what a descendant says after the
/// program's end is not waited for.
public final class Running {
    private let course = Course()
    /// How many lines of the log were awaited already.
    private var awaited = 0

    /// Of its process.
    public let identifier: pid_t

    /// Starts `sonde`, or another program, with these variables besides those of the tests.
    public init(
        _ arguments: [String], environment: [String: String] = [:],
        executable: URL = Program.path
    ) throws {
        // Under a sanitizer, what is still allocated at exit is nobody's leak.
        let variables = ProcessInfo.processInfo.environment
            .merging(["ASAN_OPTIONS": "detect_leaks=0"]) { $1 }.merging(environment) { $1 }
        let (output, errors) = (try Channel(), try Channel())
        identifier = try spawn(
            [executable.path] + arguments, variables.map { "\($0)=\($1)" },
            output: output.writing, errors: errors.writing)
        for channel in [output, errors] { close(channel.writing) }
        try course.follow(identifier, [output.reading, errors.reading])
    }

    /// Starts a program by its name beside `loop`, which calls `completion` when it has ended and
    /// holds it until then.
    @discardableResult
    public convenience init(
        _ name: String, _ arguments: [String], loop: EventLoop,
        completion: @escaping (Program.Outcome) -> Void
    ) throws {
        let path = try #require(Program.path(name), "\(name) is not installed")
        try self.init(arguments, executable: URL(fileURLWithPath: path))
        var held: Running? = self
        var wakeup: Wakeup?
        let door = try Wakeup(loop: loop) {
            guard let outcome = held?.course.outcome else { return }
            wakeup?.close()
            wakeup = nil
            held = nil
            completion(outcome)
        }
        wakeup = door
        course.onEnd { door.wake() }
    }

    deinit { terminate() }

    /// Whether it has not ended yet.
    public var isRunning: Bool { course.outcome == nil }

    /// The next whole line of its log that contains `text`, awaited; nil when it ends without.
    public func awaitLog(_ text: String) -> String? {
        var found: String?
        course.wait("for a line with '\(text)'") { errors, hasEnded in
            let lines = String(decoding: errors, as: UTF8.self)
                .split(separator: "\n", omittingEmptySubsequences: false)
            for (index, line) in lines.enumerated().dropFirst(awaited) {
                // What the last line feed is followed by is no line yet.
                if index == lines.count - 1, !hasEnded { break }
                if line.contains(text) {
                    found = String(line)
                    awaited = index + 1
                    return true
                }
            }
            return false
        }
        return found
    }

    public func terminate() { signal(SIGTERM) }

    public func interrupt() { signal(SIGINT) }

    /// Nothing where it has ended.
    public func signal(_ number: Int32) { course.signal(identifier, number) }

    /// Waits for its end.
    public func finish() -> Program.Outcome {
        course.wait("to end") { _, _ in false }
        return course.outcome ?? Program.Outcome(code: -SIGKILL, output: "", errors: "")
    }
}

/// Starts a program with no signal blocked or ignored and nothing to read.
private func spawn(
    _ words: [String], _ variables: [String], output: Int32, errors: Int32
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, errors, 2)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (none, all) = (sigset_t(), sigset_t())
    sigemptyset(&none)
    sigfillset(&all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let copies = [words, variables].map { $0.map { strdup($0) } + [nil] }
    defer { for copy in copies.joined() { free(copy) } }
    var identifier: pid_t = 0
    let code = posix_spawn(
        &identifier, words[0], &actions, &attributes, copies[0], copies[1])
    try #require(code == 0, "\(words[0]) cannot be started: \(code)")
    return identifier
}
