import Foundation
import Logging
import Pacing
import ProxyReload
import Reactor
import Testing

/// Three backends, a real proxy before them, and a bench that has it reconfigured in mid-run.
final class ReloadSite {
    let loop: EventLoop
    let folder: Folder
    let port: UInt16
    /// By name: a, b, c.
    let backends: [BackendService]
    private var proxy: Running?
    private(set) var report: BenchReport?
    private(set) var recount: [String] = []
    /// What the program said and what the browser saw, where it was to write a page.
    private(set) var output: Program.Outcome?
    private(set) var views = ""
    private var page: String?

    init(_ loop: EventLoop, _ folder: Folder) throws {
        self.loop = loop
        self.folder = folder
        port = try freePort(loop)
        backends = try ["a", "b", "c"].map { name in
            let service = BackendService(
                loop: loop,
                configuration: BackendConfiguration(
                    identifier: name, listen: SocketAddress(.loopbackV4, port: 0)),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            try service.start()
            return service
        }
    }

    /// Has the program itself do the bench, with a page, and shows that to a browser.
    func report(to page: String) { self.page = page }

    /// `127.0.0.1:PORT` of a backend.
    func address(_ index: Int) -> String { backends[index].address.map { "\($0)" } ?? "" }

    /// The proxy's process, for signals.
    var proxyIdentifier: Int32 { proxy?.identifier ?? 0 }

    /// Starts the proxy, waits until it listens, benches it, ends it, and counts the rows again.
    func run(
        _ program: String, _ arguments: [String], accessLog: String? = nil,
        _ configure: @escaping (ReloadSite, inout BenchConfiguration) -> Void
    ) throws {
        let proxy = try Running(program, arguments, loop: loop) { [self] outcome in
            #expect(isEnded(outcome), "\(program) ended itself: \(outcome.errors.suffix(2000))")
            self.proxy = nil
            guard report != nil || output != nil else { return close() }
            count(accessLog)
        }
        self.proxy = proxy
        loop.when(proxy, listensAt: SocketAddress(.loopbackV4, port: port)) { [self] in
            do { try bench(configure) } catch {
                Issue.record(error)
                self.proxy?.terminate()
            }
        }
    }

    private func bench(_ configure: (ReloadSite, inout BenchConfiguration) -> Void) throws {
        let url = try BenchURL("http://127.0.0.1:\(port)/")
        var configuration = BenchConfiguration(url: url)
        configuration.clients = 10
        configuration.duration = .milliseconds(1500)
        configuration.csvPath = "\(folder.path)/data.csv"
        configure(self, &configuration)
        if let page { return try benchWithProgram(configuration, page) }
        var held: Bench?
        let bench = Bench(loop: loop, configuration: configuration) { [self] result in
            _ = held
            held = nil
            switch result {
            case .success(let report): self.report = report
            case .failure(let failure): Issue.record("\(failure)")
            }
            proxy?.terminate()
        }
        held = bench
        try bench.start()
    }

    private func benchWithProgram(_ configuration: BenchConfiguration, _ page: String) throws {
        let url = configuration.url
        var arguments = [
            "reload", "bench", "http://\(url.authority)\(url.target)", "--duration", "1500ms",
            "--csv", "\(folder.path)/data.csv", "--report", page, "--quiet",
        ]
        for command in configuration.commands {
            let moment = Int(command.after / .milliseconds(1))
            arguments += ["--event", "\(moment)ms=\(command.command)"]
        }
        _ = try Running("sonde", arguments, loop: loop) { [self] outcome in
            output = outcome
            proxy?.terminate()
        }
    }

    /// Another program's view of the same file.
    private func count(_ accessLog: String?) {
        let arguments = ["\(folder.path)/data.csv"] + (accessLog.map { [$0] } ?? [])
        python("Support/recount.py", arguments) { [self] text in
            recount = text.split(separator: "\n").map(String.init)
            guard let page else { return close() }
            python("Browser/browse.py", [page]) { [self] text in
                views = text
                close()
            }
        }
    }

    private func python(
        _ script: String, _ arguments: [String], _ completion: @escaping (String) -> Void
    ) {
        do {
            _ = try Running("python3", [Program.script(script)] + arguments, loop: loop) {
                outcome in
                #expect(outcome.code == 0, "\(outcome.errors)")
                completion(outcome.output)
            }
        } catch {
            Issue.record(error)
            close()
        }
    }

    private func close() {
        for backend in backends { backend.drain(grace: .seconds(1)) {} }
    }
}

/// What must hold whatever the proxy did: the rows say what the summary says, and the backends and
/// the proxy count the same requests.
func checkTruth(
    _ site: ReloadSite, _ location: SourceLocation = #_sourceLocation
) throws -> BenchReport {
    let report = try #require(site.report, sourceLocation: location)
    let total = report.timeline.total
    let lines = site.recount
    try #require(lines.count >= 2, sourceLocation: location)
    #expect(lines[0] == report.aggregateLine, sourceLocation: location)
    #expect(lines[1] == "rows: \(total.requests)", sourceLocation: location)
    #expect(total.successes > 100, "\(report.text)", sourceLocation: location)
    // A request that failed on its way may have reached a backend before, or may be sent by the
    // proxy to a second one.
    for (number, name) in report.timeline.instances.names.enumerated() {
        let answers = total.share(of: UInt16(number)).answers
        #expect(lines.contains("answers \(name): \(answers)"), sourceLocation: location)
    }
    let answered = site.backends.reduce(0) { $0 + $1.answered }
    let surplus = answered - total.successes
    #expect((0...total.failureCount).contains(surplus), "\(report.text)", sourceLocation: location)
    let differing = lines.filter { $0.hasPrefix("differs ") }
    #expect(differing.count <= total.failureCount, "\(differing)", sourceLocation: location)
    return report
}

/// The instances that an event brought and silenced: c comes, a goes, and b lives.
func checkReplacement(
    _ report: BenchReport, _ location: SourceLocation = #_sourceLocation
) throws {
    let names = report.timeline.instances
    let windows = report.timeline.windows
    let appeared = windows.flatMap(\.appeared).map { names.name($0.instance) }
    let silences = windows.flatMap(\.silences)
    #expect(appeared == ["c"], "\(report.text)", sourceLocation: location)
    #expect(
        silences.map { names.name($0.instance) } == ["a"], "\(report.text)",
        sourceLocation: location)
    #expect(silences.allSatisfy { $0.openConnections == 0 }, sourceLocation: location)
    // How many answers came since depends on this machine; where they are enough, chance is ruled
    // out, and a proxy that chooses for each request gives no other proof.
    #expect(
        silences.allSatisfy { $0.evidence == nil || $0.evidence == .chance },
        sourceLocation: location)
    #expect(
        windows.allSatisfy { $0.event.isGood }, "\(report.text)", sourceLocation: location)
    #expect(
        windows.flatMap(\.appeared).allSatisfy { $0.sinceStartNanoseconds > 0 },
        sourceLocation: location)
}
