import Foundation
import Pacing
import Testing

@testable import Reactor

@Suite struct ProcessTests {
    @Test("the start of the process is the same whenever it is asked for, and lies in the past")
    func start() throws {
        let loop = try EventLoop()
        let first = ProcessStart.measure()
        #expect(first.earliest <= first.moment && first.moment <= first.latest)
        #expect(first.latest <= loop.now)
        #expect(first.uncertainty >= .zero && first.uncertainty <= .milliseconds(10))
        #if os(Linux)
        #expect(first.source == .kernel)
        // Long after the start both readings are bounded by the same tick of the kernel's.
        let second = ProcessStart.measure()
        let earliest = [first.earliest, second.earliest]
        #expect(abs((earliest[0] - earliest[1]).nanoseconds) < 1_000_000)
        #endif
        try loop.close()
    }

    @Test("local ports come from a range of the system's")
    func ports() {
        #expect(EventLoop.ephemeralPorts.count > 1)
        #expect(EventLoop.ephemeralPorts.lowerBound >= 1024)
    }

    @Test("a file is written piece by piece; one that cannot be made is named")
    func file() throws {
        let path = FileManager.default.temporaryDirectory
            .appending(path: "sonde-\(UUID().uuidString)").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let file = try OutputFile(path: path)
        try file.write(Array("one\n".utf8))
        try file.write(Array("two\n".utf8))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "one\ntwo\n")
        file.close()
        file.close()
        #expect(throws: UVError.self) { try file.write([1]) }
        let nowhere = path + "/missing/file"
        #expect { try OutputFile(path: nowhere) } throws: { "\($0)".contains(nowhere) }
    }

    @Test("a precise timer fires in order, not before its moment, and not when cancelled")
    func preciseTimer() throws {
        weak var watched: PreciseTimer?
        try withLoop { loop in
            var fired: [Instant] = []
            let start = loop.now
            var timer: PreciseTimer?
            timer = PreciseTimer(loop: loop) {
                fired.append(loop.now)
                #expect(timer?.deadline == nil)
                guard fired.count == 3 else {
                    timer?.schedule(at: start + .microseconds(300) * (fired.count + 1))
                    return
                }
                timer?.close()
                timer?.close()
                timer?.schedule(after: .zero)  // closed: no effect
                timer = nil
                for (count, moment) in fired.enumerated() {
                    #expect(moment >= start + .microseconds(300) * (count + 1))
                }
            }
            watched = timer
            timer?.schedule(after: .seconds(60))
            timer?.schedule(at: start + .microseconds(300))

            let cancelled = PreciseTimer(loop: loop) { Issue.record("it was cancelled") }
            cancelled.schedule(at: Instant(nanoseconds: 0))  // long past
            cancelled.cancel()
            var closer: Reactor.Timer?
            closer = Reactor.Timer(loop: loop) {
                cancelled.close()
                closer?.close()
                closer = nil
            }
            closer?.schedule(after: .milliseconds(5))
        }
        #expect(watched == nil)
    }

    @Test("a connection that is watched for life goes on as before")
    func keepAlive() throws {
        try withLoop { loop in
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { echo($0) }
            let client = TCPConnection(loop: loop)
            client.keepAlive(after: .seconds(1), every: .seconds(1), count: 15)  // idle: no effect
            client.onRead = { client, _ in
                client.close()
                listener?.close()
            }
            client.connect(to: try #require(listener?.localAddress)) { client, _ in
                client.keepAlive(after: .zero, every: .seconds(1), count: 0)
                client.write([1])
                client.resumeReading()
            }
        }
    }
}
