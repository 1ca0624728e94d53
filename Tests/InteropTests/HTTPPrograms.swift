import Foundation
import HTTP
import HTTPTypes
import Pacing
import Reactor
import Testing

/// Programs of the system that speak HTTP, started and stopped by the tests.
enum Program {
    /// The path of a program, or nil where it is not installed.
    static func path(_ name: String) -> String? {
        let places = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return (places.map(String.init) + ["/usr/sbin", "/usr/local/sbin"])
            .map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    static func isInstalled(_ name: String) -> Bool { path(name) != nil }
}

/// One run of a program: its output goes to files, so that no pipe can fill.
final class ProgramRun {
    struct Outcome {
        var status: Int32
        var output: String
        var errors: String
    }

    let process = Process()
    private let folder: Folder
    private let wakeup: Wakeup
    private var isOver = false

    /// Starts it. `completion` is called on the loop when it has ended.
    init(
        _ name: String, _ arguments: [String], loop: EventLoop,
        completion: @escaping (Outcome) -> Void
    ) throws {
        let folder = try Folder()
        self.folder = folder
        let output = try folder.file("output", "")
        let errors = try folder.file("errors", "")
        process.executableURL = URL(fileURLWithPath: try #require(Program.path(name)))
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: output)
        process.standardError = FileHandle(forWritingAtPath: errors)
        var finish: () -> Void = {}
        let wakeup = try Wakeup(loop: loop) { finish() }
        self.wakeup = wakeup
        process.terminationHandler = { _ in wakeup.wake() }
        finish = { [self] in
            guard !process.isRunning, !isOver else { return }
            isOver = true
            wakeup.close()
            finish = {}
            func text(_ path: String) -> String {
                String(
                    decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            }
            completion(
                Outcome(
                    status: process.terminationStatus, output: text(output), errors: text(errors)))
        }
        try process.run()
    }

    /// Ends it; only ever this one, by its own id. Not by SIGTERM: a child inherits the signals
    /// that the test's thread blocks, and nginx for one leaves them blocked.
    func end() { if process.isRunning { kill(process.processIdentifier, SIGKILL) } }
}

/// A folder of its own that goes when the test does.
final class Folder {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "/sonde-interop-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    @discardableResult
    func file(_ name: String, _ text: String) throws -> String {
        try text.write(toFile: "\(path)/\(name)", atomically: true, encoding: .utf8)
        return "\(path)/\(name)"
    }
}

/// Runs a test on a loop of its own and proves that nothing was left open. The watchdog ends a run
/// that hangs; it is not a timing assertion.
func withLoop(
    _ location: SourceLocation = #_sourceLocation, _ body: (EventLoop) throws -> Void
) throws {
    let loop = try EventLoop()
    var hung = false
    let watchdog = Reactor.Timer(loop: loop) {
        hung = true
        loop.stop()
    }
    watchdog.schedule(after: .seconds(30))
    watchdog.setKeepsLoopAlive(false)
    try body(loop)
    loop.run()
    watchdog.close()
    #expect(!hung, "still open: \(loop.openHandles)", sourceLocation: location)
    #expect(throws: Never.self, "a handle was left open", sourceLocation: location) {
        try loop.close()
    }
}

extension EventLoop {
    /// Looks every few milliseconds whether `condition` holds, then runs `body`.
    func pollUntil(_ condition: @escaping () -> Bool, _ body: @escaping () -> Void) {
        var timer: Reactor.Timer?
        timer = Reactor.Timer(loop: self) {
            if condition() {
                timer?.close()
                timer = nil
                body()
            } else {
                timer?.schedule(after: .milliseconds(5))
            }
        }
        timer?.schedule(after: .zero)
    }

    /// Goes on as soon as `program` listens at `address`; not at all when it ends before.
    func when(
        _ program: ProgramRun, listensAt address: SocketAddress, _ body: @escaping () -> Void
    ) {
        guard program.process.isRunning else { return }
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

/// A port on which nobody listens now.
func freePort(_ loop: EventLoop) throws -> UInt16 {
    let listener = try TCPListener(loop: loop, address: SocketAddress(.loopbackV4, port: 0)) { _ in
    }
    defer { listener.close() }
    return listener.localAddress.port
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
