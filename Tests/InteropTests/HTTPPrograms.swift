import Foundation
import HTTP
import HTTPTypes
import Pacing
import Reactor
import Synchronization
@_exported import TestSupport
import Testing

/// Programs of the system that speak HTTP, started and stopped by the tests.
enum Program {
    /// The path of a program, or nil where it is not installed.
    static func path(_ name: String) -> String? {
        let places = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        // The one that was built beside these tests, before any that is installed.
        let built = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        let ours = ["/usr/sbin", "/usr/local/sbin", proxies]
        return ([built] + places.map(String.init) + ours)
            .map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    /// Where Tests/Support/proxies.sh puts proxies that Debian does not have.
    private static var proxies: String {
        let environment = ProcessInfo.processInfo.environment
        let home = environment["HOME"] ?? "/root"
        return (environment["XDG_CACHE_HOME"] ?? "\(home)/.cache") + "/sonde/proxies/bin"
    }

    static func isInstalled(_ name: String) -> Bool { path(name) != nil }
}

/// One run of a program: its output goes to files, so that no pipe can fill.
///
/// Not by Foundation's `Process`, which leaks itself and hands its blocked signals on to the child.
final class ProgramRun {
    struct Outcome {
        /// The exit code, or the negated number of the signal that ended it.
        var status: Int32
        var output: String
        var errors: String
    }

    let identifier: pid_t
    private let exit = ExitStatus()
    private let folder: Folder
    private var onWake: (() -> Void)?

    /// Starts it. `completion` is called on the loop when it has ended.
    init(
        _ name: String, _ arguments: [String], loop: EventLoop,
        completion: @escaping (Outcome) -> Void
    ) throws {
        let folder = try Folder()
        self.folder = folder
        let path = try #require(Program.path(name))
        identifier = try Self.spawn(path, arguments, folder)
        var run: ProgramRun?
        let wakeup = try Wakeup(loop: loop) { run?.onWake?() }
        onWake = { [exit] in
            guard let status = exit.value.withLock({ $0 }) else { return }
            wakeup.close()
            run = nil
            completion(
                Outcome(
                    status: status & 0x7F == 0 ? status >> 8 & 0xFF : -(status & 0x7F),
                    output: folder.text("output"), errors: folder.text("errors")))
        }
        run = self
        Thread.detachNewThread { [exit, identifier] in
            var status: Int32 = 0
            while waitpid(identifier, &status, 0) < 0, errno == EINTR {}
            exit.value.withLock { $0 = status }
            wakeup.wake()
        }
    }

    /// Its standard streams are files, and no signal is blocked.
    private static func spawn(
        _ path: String, _ arguments: [String], _ folder: Folder
    ) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        let flags = O_WRONLY | O_CREAT | O_TRUNC
        posix_spawn_file_actions_addopen(&actions, 1, "\(folder.path)/output", flags, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, "\(folder.path)/errors", flags, 0o600)
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var words: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
        defer { for word in words { free(word) } }
        words.append(nil)
        var identifier: pid_t = 0
        let code = posix_spawn(&identifier, path, &actions, &attributes, words, environ)
        try #require(code == 0, "\(path) cannot be started: \(code)")
        return identifier
    }

    var isRunning: Bool { exit.value.withLock { $0 == nil } }

    /// Asks it to end; only ever this one, by its own id.
    func end() {
        if isRunning { kill(identifier, SIGTERM) }
    }
}

/// Whether a server program ended because it was asked to (haproxy says so with 143).
func isEnded(_ outcome: ProgramRun.Outcome) -> Bool {
    [0, 143, -SIGTERM].contains(outcome.status)
}

/// Where the thread that waits for a program leaves what it got.
private final class ExitStatus: Sendable {
    let value = Mutex<Int32?>(nil)
}

extension EventLoop {
    /// Goes on as soon as `program` listens at `address`; not at all when it ends before.
    func when(
        _ program: ProgramRun, listensAt address: SocketAddress, _ body: @escaping () -> Void
    ) {
        guard program.isRunning else { return }
        let probe = TCPConnection(loop: self)
        probe.connect(to: address) { [self] probe, result in
            if case .success = result {
                probe.close()
                return body()
            }
            var timer: Reactor.Timer?
            timer = Reactor.Timer(loop: self) { [self] in
                timer?.close()
                timer = nil
                when(program, listensAt: address, body)
            }
            timer?.schedule(after: .milliseconds(20))
        }
    }
}

/// What the programs talk to.
struct TestSite {
    var router = HTTPRouter()

    init() {
        router.on(.get, "/hello") { $1.respond(status: 200, literal: "hello\n") }
        router.on(.post, "/echo", bodyLimit: 8 << 20) {
            $1.respond(status: 200, body: $0.takeBody())
        }
        router.on(.put, "/small", bodyLimit: 10) { $1.respond(status: 204) }
        router.on(.get, "/chunks") { _, responder in
            guard let writer = responder.start(HTTPResponse(status: .ok)) else { return }
            for index in 0..<100 { writer.write(Array("chunk \(index)\n".utf8)) }
            writer.finish()
        }
    }

    static let chunks = (0..<100).map { "chunk \($0)\n" }.joined()
}

/// Serves ``TestSite`` and runs one program against it; the server has to end clean.
func serve(
    to name: String, _ location: SourceLocation = #_sourceLocation,
    listen: String = "127.0.0.1:0",
    configuration: HTTPServerConfiguration = HTTPServerConfiguration(),
    arguments: (_ authority: String) throws -> [String],
    check: @escaping (ProgramRun.Outcome, HTTPServer) -> Void
) throws {
    weak var watched: HTTPServer?
    try withLoop(location) { loop in
        let server = HTTPServer(
            loop: loop, configuration: configuration, router: TestSite().router)
        watched = server
        let address = try server.listen(on: try #require(SocketAddress(listen)))
        _ = try ProgramRun(name, try arguments("\(address)"), loop: loop) { outcome in
            check(outcome, server)
            // Nothing that the program left open stays: what it closed, the server has closed too.
            loop.pollUntil({ server.connectionCount == 0 }) { server.close() }
        }
    }
    #expect(watched == nil, "the server is still held", sourceLocation: location)
}
