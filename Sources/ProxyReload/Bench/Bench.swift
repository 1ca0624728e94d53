import HTTPCodec
import Instrument
import Pacing
import Reactor
import Telemetry

/// Keep-alive clients that send requests through a proxy while it is reconfigured, and a record of
/// every one of them.
///
/// It ends after the configured time or number of requests, or by ``stop()``: requests under way
/// get their answer (or their timeout), so that every request that was sent has its row.
public final class Bench {
    let loop: EventLoop
    let configuration: BenchConfiguration
    let context = HTTPCodecContext()
    private(set) var requestBytes: [UInt8] = []
    private(set) var target: SocketAddress
    /// The start of the test.
    private(set) var origin = Instant(nanoseconds: 0)
    private var permission = BenchClientMachine.Permit.granted
    /// From then on no request begins.
    private var end = Instant(nanoseconds: .max)
    private(set) var timeouts: DeadlineClass<Int>
    private let timeline: UnsafeMutablePointer<ReloadTimeline>

    private var clients: [BenchClient] = []
    private var stopped = 0
    private var pace: OpenPace?
    private var pacer: PreciseTimer?
    private var nextSlot = 0
    private var begun = 0
    /// How much later than due requests began because of this process; open loop only.
    private var delays = LatencyHistogram()
    /// How late this process is in general.
    private(set) var ownDelay: OwnDelay?

    private var csv: RowSink?
    private var text: RowSink?
    private var heldSince: Instant?
    private var held = Duration.zero

    private var ticker: Timer?
    private var endTimer: Timer?
    private var wait: TargetWait?
    private var query: Resolver.Query?
    private var isRunning = false
    private var isEnding = false
    private var isFinished = false
    private var endedAt: Instant?
    private var processorAtStart: Duration = .zero
    private var failure: BenchFailure?
    lazy var commands = CommandRunner(bench: self)

    /// Called when the host is known, before anything is sent or written: the moment to open files.
    /// What it throws ends the bench as a failure.
    public var onReady: () throws(UVError) -> Void = {}
    /// Lines about what was done to the proxy, for a log.
    public var onLog: (String) -> Void = { _ in }
    /// Ten times a second while it runs.
    public var onTick: () -> Void = {}
    private var onEnd: (Result<BenchReport, BenchFailure>) -> Void

    /// - Parameter onEnd: called once, when everything is closed. A failure means that nothing was
    ///   measured; trouble with the recording is part of the report.
    public init(
        loop: EventLoop, configuration: BenchConfiguration,
        onEnd: @escaping (Result<BenchReport, BenchFailure>) -> Void
    ) {
        self.loop = loop
        self.configuration = configuration
        self.onEnd = onEnd
        target = SocketAddress(.loopbackV4, port: configuration.url.port)
        timeline = .allocate(capacity: 1)
        timeline.initialize(
            to: ReloadTimeline(clients: configuration.clients, window: configuration.window))
        var expire: (Int) -> Void = { _ in }
        timeouts = DeadlineClass(loop: loop, timeout: configuration.timeout) { expire($0) }
        expire = { [unowned self] in clients[$0].timeoutPassed(now: loop.now) }
    }

    deinit { timeline.deinitialize(count: 1).deallocate() }

    /// Looks the host up, opens the recording, and begins. A host that is not known leaves an
    /// earlier recording as it was.
    /// - Throws: ``BenchFailure`` when the request cannot be sent.
    public func start() throws(BenchFailure) {
        do throws(HTTPCodecError) {
            requestBytes = try request()
        } catch {
            timeouts.close()
            throw .usage("a request with this host and path cannot be sent: \(error)")
        }
        guard let limit = configuration.waitForTarget else { return resolve() }
        let url = configuration.url
        wait = TargetWait(
            loop: loop, authority: url.authority, path: url.target, host: configuration.host,
            limit: limit, timeout: configuration.timeout,
            onFailure: { [unowned self] in onLog("waiting for \(url.authority): \($0)") }
        ) { [self] failure in
            wait = nil
            guard let failure else { return resolve() }
            finish(
                .failure(
                    .unavailable(
                        "\(url.authority) did not answer with status 200 in "
                            + "\(GoDuration(limit)): \(failure)")))
        }
    }

    private func resolve() {
        let url = configuration.url
        query = Resolver.resolve(url.host, port: url.port, loop: loop) { [self] result in
            query = nil
            do throws(UVError) {
                let addresses = try result.get()
                try onReady()
                try openRecording()
                begin(addresses[0])
            } catch {
                finish(.failure(.system(error)))
            }
        }
    }

    private func openRecording() throws(UVError) {
        if let path = configuration.csvPath {
            csv = sink(try BackgroundWriter(loop: loop, path: path))
            csv?.write(RowFormat.header)
        }
        csv?.onFailure { [unowned self] error in
            failure = .system(error)
            endRequests()
        }
        if configuration.printsRows {
            text = sink(BackgroundWriter(loop: loop, stream: .output))
            text?.onFailure { [unowned self] error in
                if error.kind == .reset { return }  // a reader that has gone away is no error
                failure = .system(error)
                endRequests()
            }
        }
    }

    private func request() throws(HTTPCodecError) -> [UInt8] {
        let writer = HeadWriter()
        let url = configuration.url
        try writer.startRequest(method: "GET", target: url.target)
        try writer.field("Host", configuration.host ?? url.authority)
        writer.field(literal: "User-Agent", "sonde")
        writer.field(literal: "Accept", "*/*")
        writer.endHead()
        return writer.array
    }

    /// Begins no further request and ends when those under way have ended. The second call gives
    /// those up, too: they have no rows.
    public func stop() {
        guard !isFinished else { return }
        if !isRunning {
            wait?.cancel()
            wait = nil
            query?.cancel()
            query = nil
            return finish(.success(report))
        }
        if isEnding {
            for client in clients { client.close() }
            return closeRecording()
        }
        endRequests()
    }

    /// Sets a mark: an event without a command.
    public func mark() {
        guard isRunning, !isEnding else { return }
        timeline.pointee.beginEvent(command: "", at: elapsed)
        onLog("mark \(timeline.pointee.eventNumber) at \(BenchText.seconds(elapsed))")
    }

    /// Whether a command runs now, whose output may be on the terminal.
    public var isRunningCommand: Bool { commands.isRunning }

    /// The state of things in lines of at most 78 columns, for a terminal.
    public var status: [String] {
        LiveStatus.lines(
            timeline.pointee, elapsed: isRunning ? elapsed : 0, busy: clients.count { $0.isBusy })
    }

    /// Whether requests are under way, or may begin.
    var isMeasuring: Bool { isRunning && !isFinished }

    /// What has been measured so far. Shares its memory with what is being measured: let go of it
    /// before the next request ends, else that is copied.
    public var report: BenchReport {
        let end = min(endedAt ?? loop.now, self.end)
        var report = BenchReport(configuration: configuration, timeline: timeline.pointee)
        report.sendingNanoseconds = isRunning ? (end - origin).nanoseconds : 0
        report.inFlight = clients.count { $0.isBusy }
        report.delays = configuration.rate == nil ? ownDelay?.delays ?? delays : delays
        report.held = held + (heldSince.map { loop.now - $0 } ?? .zero)
        report.processor = EventLoop.processorTime - processorAtStart
        report.recordedBytes = csv?.writtenBytes ?? 0
        report.target = target
        if let pace { report.unsent = max(0, pace.due(by: end - .nanoseconds(1)) - begun) }
        if case .system(let error) = failure { report.recordingFailure = error.description }
        return report
    }

    // MARK: - For the clients

    /// Whether another request may begin. By the clock and not by a timer, which is late: so many
    /// requests are due before the end, and not one more.
    @inline(__always)
    func permit(_ now: Instant) -> BenchClientMachine.Permit { now < end ? permission : .ended }

    @inline(__always)
    func instance(named name: UnsafeRawBufferPointer) -> UInt16 {
        timeline.pointee.instances.number(of: name)
    }

    @inline(__always)
    func requestBegins() {
        begun &+= 1
        if let limit = configuration.requests, begun >= limit { requestsBegun() }
    }

    func noteDelay(_ delay: Duration) { delays.record(delay) }

    func record(_ row: RequestRecord, unnumbered: [UInt8]) {
        timeline.pointee.record(row)
        guard let instance = row.instance else { return write(row, nil) }
        if instance == InstanceTable.others {
            unnumbered.withUnsafeBytes { write(row, $0) }
        } else {
            timeline.pointee.instances.withBytes(of: instance) { write(row, $0) }
        }
    }

    @inline(__always)
    private func write(_ row: RequestRecord, _ name: UnsafeRawBufferPointer?) {
        if let csv {
            var format = RowFormat(csv.room, unit: configuration.csvUnit)
            format.csv(row, name: name, event: timeline.pointee.eventNumber)
            csv.took(format.count)
        }
        if let text {
            var format = RowFormat(text.room)
            format.text(row, name: name)
            text.took(format.count)
        }
    }

    func clientStopped() {
        stopped += 1
        if stopped == clients.count { allStopped() }
    }

    // MARK: - Course

    private func begin(_ address: SocketAddress) {
        target = address
        isRunning = true
        origin = loop.now
        processorAtStart = EventLoop.processorTime
        if let rate = configuration.rate { pace = OpenPace(origin: origin, rate: rate) }
        let count = configuration.clients
        clients = (0..<count).map { number in
            let machine = BenchClientMachine(
                pace: pace.map { .open($0, number: number, of: count) } ?? .closed,
                timeout: configuration.timeout)
            return BenchClient(number: number, bench: self, machine: machine)
        }
        ownDelay = OwnDelay(loop: loop) { [unowned self] pause, now in
            for client in clients { client.slept(pause, now: now) }
        }
        let ticker = Timer(loop: loop) { [unowned self] in tick() }
        self.ticker = ticker
        ticker.schedule(after: .milliseconds(100))
        if let duration = configuration.duration {
            let timer = Timer(loop: loop) { [unowned self] in endRequests() }
            endTimer = timer
            end = origin + duration
            timer.schedule(at: end)
        }
        commands.schedule(configuration.commands, from: origin)
        for client in clients { client.start(now: loop.now) }
        guard let pace else { return }
        let pacer = PreciseTimer(loop: loop) { [unowned self] in slotsCame(pace) }
        self.pacer = pacer
        pacer.schedule(at: pace.moment(of: 0))
    }

    /// Every request that is due goes to the client whose turn it is.
    private func slotsCame(_ pace: OpenPace) {
        guard !isEnding else { return }
        var due = pace.moment(of: nextSlot)
        while !isEnding, due <= loop.now {
            clients[nextSlot % clients.count].slotCame()
            nextSlot += 1
            due = pace.moment(of: nextSlot)
        }
        pacer?.schedule(at: due)
    }

    private func tick() {
        csv?.flush()
        text?.flush()
        ticker?.schedule(after: .milliseconds(100))
        onTick()
    }

    /// All requests that were asked for have begun.
    private func requestsBegun() {
        permission = .ended
        loop.enqueue { [self] in endRequests() }
    }

    private func endRequests() {
        guard isRunning, !isEnding else { return }
        isEnding = true
        permission = .ended
        endedAt = loop.now
        release()
        pacer?.close()
        pacer = nil
        endTimer?.close()
        endTimer = nil
        commands.cancelScheduled()
        for client in clients { client.stop() }
    }

    private func allStopped() {
        endRequests()  // where the last client stopped by itself
        commands.finish(grace: configuration.grace) { [self] in closeRecording() }
    }

    private func closeRecording() {
        guard !isFinished else { return }
        isFinished = true
        timeouts.close()
        ownDelay?.close()
        commands.abandon()
        ticker?.close()
        ticker = nil
        let text = self.text
        let csv = self.csv
        let close = { [self] in
            guard let csv else { return finish(.success(report)) }
            csv.finish { [self] error in
                if let error { failure = .system(error) }
                finish(.success(report))
            }
        }
        guard let text else { return close() }
        text.finish { _ in close() }  // a reader that has gone away is no error
    }

    private func finish(_ result: Result<BenchReport, BenchFailure>) {
        isFinished = true
        timeouts.close()
        clients = []
        let onEnd = self.onEnd
        self.onEnd = { _ in }
        guard case .failure = result, let csv else { return onEnd(result) }
        csv.finish { _ in onEnd(result) }
    }

    // MARK: - The recording is full

    private func sink(_ writer: BackgroundWriter) -> RowSink {
        writer.highWaterBytes = configuration.highWaterBytes
        let sink = RowSink(writer) { [unowned self] in hold() }
        sink.onDrain { [unowned self] in
            if csv?.isFull != true, text?.isFull != true { release() }
        }
        return sink
    }

    private func hold() {
        guard permission == .granted else { return }
        permission = .held
        heldSince = loop.now
    }

    private func release() {
        guard let since = heldSince else { return }
        held += loop.now - since
        heldSince = nil
        if permission == .held { permission = .granted }
        for client in clients { client.release(now: loop.now) }
    }

    /// Nanoseconds since the start of the test.
    var elapsed: Int64 { (loop.now - origin).nanoseconds }

    /// For the commands' runner: begins an event.
    func beginEvent(_ command: String) -> Int? {
        timeline.pointee.beginEvent(command: command, at: elapsed)
    }

    /// For the commands' runner: ends an event.
    func endEvent(_ index: Int?, _ result: String, isGood: Bool) {
        timeline.pointee.endEvent(index, result: result, isGood: isGood, at: elapsed)
    }
}

@available(*, unavailable)
extension Bench: Sendable {}
