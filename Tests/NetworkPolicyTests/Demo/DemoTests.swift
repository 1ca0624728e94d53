import JSONCodec
import Pacing
import Reactor
import Telemetry
import Testing

@testable import NetworkPolicy

@Suite struct DemoTests {
    private func outcome(
        created: Int64, opened: Int64, timestamp: Int64?, notBefore: Int64?
    ) -> DemoOutcome {
        func moment(_ milliseconds: Int64) -> WallClock {
            WallClock(nanosecondsSinceEpoch: milliseconds * 1_000_000)
        }
        return DemoOutcome(
            policy: "p", client: "c", address: "a", created: moment(created),
            opening: moment(opened)...moment(opened), timestamp: timestamp.map(moment),
            notBefore: notBefore.map(moment))
    }

    @Test("latency, error and uncertainty are counted from the right moments")
    func figures() {
        let one = outcome(created: 1000, opened: 1100, timestamp: 1130, notBefore: 1090)
        #expect(one.latency == .milliseconds(130))
        #expect(one.trueLatency == .milliseconds(100))
        #expect(one.error == .milliseconds(30))
        #expect(one.uncertainty == .milliseconds(40))
        #expect(one.isBracketed == true)
    }

    @Test("a truth outside the bounds is seen on either side, and makes the report bad")
    func brackets() {
        let late = outcome(created: 0, opened: 100, timestamp: 130, notBefore: 110)
        let early = outcome(created: 0, opened: 100, timestamp: 90, notBefore: 50)
        let missing = outcome(created: 0, opened: 100, timestamp: nil, notBefore: nil)
        #expect(late.isBracketed == false && early.isBracketed == false)
        #expect(missing.isBracketed == nil)
        for bad in [late, early, missing] {
            let report = DemoReport(clients: 1, outcomes: [bad], elapsed: .seconds(1))
            #expect(!report.isGood)
        }
        let good = outcome(created: 0, opened: 100, timestamp: 130, notBefore: nil)
        let report = DemoReport(clients: 1, outcomes: [good], elapsed: .seconds(1))
        #expect(report.isGood && report.text.contains("1 without a lower bound"))
    }

    @Test("a whole small measurement: every policy is found, within its bounds")
    func wholeRun() throws {
        try withLoop { loop in
            var configuration = DemoConfiguration()
            configuration.clients = 3
            configuration.policies = 12
            configuration.rate = 100
            configuration.probing.interval = .milliseconds(20)
            configuration.probing.idleInterval = .milliseconds(50)
            var steps: Set<String> = []
            var demo: Demo?
            demo = Demo(
                loop: loop, configuration: configuration, onProgress: { steps.insert($0.phase) },
                onEnd: { result in
                    demo = nil
                    let report = try? result.get()
                    #expect(report?.detected == 12 && report?.unsound == 0)
                    #expect(
                        report?.json.starts(with: Array(#"{"clients":3,"policies":12"#.utf8))
                            == true)
                    #expect(steps.isSuperset(of: ["probing", "settling", "collecting"]))
                })
            try demo?.start()
        }
    }

    @Test("an interrupted run keeps what it has measured")
    func interrupted() throws {
        try withLoop { loop in
            var configuration = DemoConfiguration()
            configuration.clients = 2
            configuration.rate = 20
            configuration.probing.interval = .milliseconds(20)
            var demo: Demo?
            demo = Demo(
                loop: loop, configuration: configuration,
                onProgress: { progress in
                    guard progress.detected >= 5, progress.phase != "collecting" else { return }
                    demo?.cancel()
                },
                onEnd: { result in
                    demo = nil
                    guard let report = try? result.get() else {
                        Issue.record("what was measured is lost: \(result)")
                        return
                    }
                    #expect(report.isInterrupted && report.unsound == 0)
                    #expect(report.detected >= 5 && report.outcomes.count < 200)
                    #expect(report.text.contains("interrupted: no further policies were created\n"))
                    let json = String(decoding: report.json, as: UTF8.self)
                    #expect(json.contains(#""interrupted":true,"#))
                })
            try demo?.start()
        }
    }

    @Test("an interruption before the first policy leaves a report of nothing")
    func interruptedEarly() throws {
        try withLoop { loop in
            var demo: Demo?
            demo = Demo(
                loop: loop, configuration: DemoConfiguration(), onProgress: { _ in },
                onEnd: { result in
                    demo = nil
                    let report = try? result.get()
                    #expect(report?.isInterrupted == true && report?.outcomes == [])
                })
            try demo?.start()
            demo?.cancel()
        }
    }

    @Test("interrupted a second time it ends at once, and leaves nothing open")
    func interruptedTwice() throws {
        try withLoop { loop in
            var demo: Demo?
            demo = Demo(
                loop: loop, configuration: DemoConfiguration(),
                onProgress: { _ in
                    demo?.cancel()
                    demo?.cancel()
                },
                onEnd: { result in
                    demo = nil
                    guard case .failure(let failure) = result else {
                        Issue.record("it came to an end")
                        return
                    }
                    #expect(failure.description == "interrupted")
                })
            try demo?.start()
        }
    }
}
