import Pacing
import Reactor
import Result
import Telemetry
import Testing

@testable import EgressGateway

/// What a client's run says in the form that all instruments share.
@Suite struct ClientResultTests {
    typealias Key = EgressClientResult

    private func run() -> RunResult.Run {
        let moment = WallClock(nanosecondsSinceEpoch: 0)
        return RunResult.Run(
            id: "1", tool: "sonde", host: "pod", command: [], began: moment, ended: moment)
    }

    @Test("closed before it was allowed: delay and moment have proven bounds, misses their kinds")
    func proven() throws {
        try withLoop { loop in
            var refusals = 3
            var listener: TCPListener?
            listener = try TCPListener(loop: loop, address: anyPort) { connection in
                refusals -= 1
                if refusals < 0 { connection.write(MasqueradeMachine.pong) }
                connection.closeAfterWriting()
            }
            let client = client(loop, target: try #require(listener?.localAddress)) {
                $0.interval = .milliseconds(20)
            }
            try client.start()
            when(loop, { client.prober?.machine.phase == .done }) {
                let result = client.result(run())
                let delay = result[Key.delay]
                // No better than the start is known.
                let start = client.configuration.start
                let width = (start.moment - start.earliest).inMilliseconds
                let (least, value, most) = (
                    delay.least?.double ?? .infinity, delay.value?.double ?? .nan,
                    delay.most?.double ?? .nan
                )
                #expect(least < value && abs(most - value - width) < 0.001)
                #expect(result[Key.masqueraded].least != nil)
                #expect(result[Key.presumed] == .unknown)
                #expect(result[Key.misses, "closed", Key.missCount] == .integer(3))
                #expect(result[Key.misses, "refused", Key.missCount] == .integer(0))
                #expect(result[Key.answered] == .integer(1))
                #expect(result[Key.delays].count == 1)
                #expect(result[Key.opened] == .unknown)
                listener?.close()
                client.drain(grace: .seconds(1)) {}
            }
        }
    }

    @Test("before it has begun nothing is known but what was asked")
    func unknown() throws {
        try withLoop { loop in
            let client = client(loop, target: anyPort)
            let result = client.result(run())
            #expect(result[Key.delay] == .unknown && result[Key.probes] == .unknown)
            #expect(result[Key.delays].count == 0)
            #expect(result[Key.target] == .text("127.0.0.1:0"))
        }
    }
}
