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
        let folder = try Folder()
        let path = folder.path("file")
        let file = try OutputFile(path: path)
        try file.write(Array("one\n".utf8))
        try file.write(Array("two\n".utf8))
        #expect(folder.text("file") == "one\ntwo\n")
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

    @Test("a connection is watched for life as asked, a second and a question at least, and works")
    func keepAlive() throws {
        try withLoop { loop in
            var answers: [[UInt8]] = []
            let listener = try TCPListener(loop: loop, address: anyPort) { echo($0) }
            let client = TCPConnection(loop: loop)
            client.keepAlive(after: .seconds(1), every: .seconds(1), count: 15)  // idle: no effect
            client.onRead = { client, bytes in
                answers.append(Array(bytes))
                client.close()
                listener.close()
            }
            client.connect(to: listener.localAddress) { client, _ in
                #expect(keepAliveOptions(of: client) == [0, 0, 0, 0])
                client.keepAlive(after: .seconds(90), every: .seconds(7), count: 5)
                #expect(keepAliveOptions(of: client) == [1, 90, 7, 5])
                client.keepAlive(after: .zero, every: .milliseconds(1), count: 0)
                #expect(keepAliveOptions(of: client) == [1, 1, 1, 1])
                client.write([1])
                client.resumeReading()
            }
            loop.run()
            #expect(answers == [[1]])
        }
    }

    /// What the kernel says: whether it asks, and after, every, and how often; zeros while it does
    /// not.
    private func keepAliveOptions(of connection: TCPConnection) -> [Int32] {
        func option(_ descriptor: Int32, _ level: Int32, _ name: Int32) -> Int32 {
            var value: Int32 = -1
            var size = socklen_t(MemoryLayout<Int32>.size)
            getsockopt(descriptor, level, name, &value, &size)
            return value
        }
        // The reactor keeps its descriptors to itself: it is the one that has this local port.
        let port = connection.localAddress?.port
        let descriptor = (Int32(0)..<1024).first { descriptor in
            var address = sockaddr_in()
            var size = socklen_t(MemoryLayout<sockaddr_in>.size)
            let code = withUnsafeMutablePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    getsockname(descriptor, $0, &size)
                }
            }
            return code == 0 && UInt16(bigEndian: address.sin_port) == port
        }
        guard let descriptor, option(descriptor, SOL_SOCKET, SO_KEEPALIVE) != 0 else {
            return [0, 0, 0, 0]
        }
        let tcp = Int32(IPPROTO_TCP)
        return [1] + [TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT].map { option(descriptor, tcp, $0) }
    }
}
