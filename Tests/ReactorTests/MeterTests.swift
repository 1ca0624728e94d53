import Foundation
import Pacing
import Testing

@testable import Reactor

/// What a loop and a process tell of themselves.
@Suite struct MeterTests {
    private func count(_ tally: LoopMeter.Tally, above bound: Duration) -> UInt64 {
        let first = LoopMeter.upperBounds.firstIndex(of: bound).map { $0 + 1 } ?? 0
        return tally.counts[first...].reduce(0, +)
    }

    @Test("a callback that blocks the loop shows as a long turn, and as lag of what was due")
    func blocked() throws {
        try withLoop { loop in
            let meter = loop.meter()
            var timers: [Reactor.Timer] = []
            let block = Reactor.Timer(loop: loop) {
                // As long as this, because lag is sampled once a second.
                Foundation.Thread.sleep(forTimeInterval: 1.1)
                let end = Reactor.Timer(loop: loop) {
                    #expect(count(meter.turns, above: .seconds(1)) >= 1)
                    #expect(count(meter.lags, above: .milliseconds(50)) >= 1)
                    #expect(meter.turns.sum >= .milliseconds(1100))
                    #expect(meter.lags.sum >= .milliseconds(50))
                    for timer in timers { timer.close() }
                }
                timers.append(end)
                end.schedule(after: .milliseconds(5))
            }
            timers.append(block)
            block.schedule(after: .zero)
        }
    }

    @Test("sleeping is not being busy")
    func idle() throws {
        try withLoop { loop in
            let meter = loop.meter()
            let start = loop.now
            var waits = [Duration.milliseconds(5), .milliseconds(600)]
            var timer: Reactor.Timer?
            timer = Reactor.Timer(loop: loop) {
                // The turn that slept ends after its timers; the next one is asked.
                if let wait = waits.popLast() { return timer?.schedule(after: wait) ?? () }
                #expect(meter.turns.counts.reduce(0, +) > 0)
                // Whatever the machine took from the turns, it took from the whole as well.
                #expect(meter.turns.sum < loop.now - start - .milliseconds(500))
                timer?.close()
            }
            timer?.schedule(after: .milliseconds(5))
        }
    }

    @Test("a meter is one for a loop, keeps nothing running, and ends with the loop")
    func life() throws {
        weak var watched: LoopMeter?
        try withLoop { loop in
            watched = loop.meter()
            #expect(loop.meter() === watched)
            loop.enqueue {}
        }
        #expect(watched == nil)
    }

    @Test("a loop that was metered, or had connects with deadlines, is freed without being closed")
    func unclosed() throws {
        weak var watched: EventLoop?
        do {
            let loop = try EventLoop()
            watched = loop
            _ = loop.meter()
            let connection = TCPConnection(loop: loop)
            connection.connect(to: anyPort, deadline: .seconds(1)) { _, _ in }
            connection.close()
            loop.run()
        }
        #expect(watched == nil)
    }

    @Test("a process's figures follow what it does")
    func process() throws {
        let before = ProcessFigures.read()
        let kept = try (0..<40).map { _ in try EventLoop() }
        // Of its own: what earlier tests have freed may be resident still, and be used again.
        let memory = try #require(
            mmap(nil, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
        defer { munmap(memory, 32 << 20) }
        memset(memory, 1, 32 << 20)
        let after = ProcessFigures.read()
        #expect(after.processorTime > before.processorTime && before.processorTime > .zero)
        #expect(after.descriptorLimit == EventLoop.descriptorLimit)
        #if os(Linux)
        let (fewer, more) = (try #require(before.openDescriptors), after.openDescriptors ?? 0)
        #expect(more >= fewer + 40 && more < after.descriptorLimit)
        let (less, bigger) = (try #require(before.residentBytes), after.residentBytes ?? 0)
        #expect(bigger >= less + 24 << 20)
        #endif
        for loop in kept { try loop.close() }
    }

    @Test("a file is read whole; one that is missing, too long or no file is named")
    func input() throws {
        let folder = try Folder()
        let path = folder.path("file")
        let content = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        try Data(content).write(to: URL(fileURLWithPath: path))
        #expect(try InputFile.read(path) == content)
        #expect(try InputFile.read(path, limit: 200_000).count == 200_000)
        #expect { try InputFile.read(path, limit: 199_999) } throws: {
            "\($0)" == "read \(path): file too large"
        }
        #expect { try InputFile.read(path + "/x") } throws: { "\($0)".contains(path + "/x") }
        #expect(throws: UVError.self) { try InputFile.read("/") }
    }
}
