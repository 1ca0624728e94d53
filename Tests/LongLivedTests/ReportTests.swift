import Foundation
import Instrument
import Pacing
import Reactor
import Result
import Telemetry
import Testing

@testable import LongLived

@Suite(.serialized) struct ReportTests {
    private func report(
        of names: [String], distribution: Distribution? = nil, metrics: ((String) -> Void)? = nil
    ) throws -> HoldReport {
        var report: HoldReport?
        try withLoop { loop in
            let first = try server(loop, names[0]) { $0.reusesPort = true }
            let others = try names.dropFirst().map { name in
                try server(loop, name) {
                    $0.reusesPort = true
                    $0.listen = first.address ?? anyPort
                }
            }
            let control = ControlPoint(loop: loop, logger: silent)
            let client = try client(loop, first.address) {
                $0.connections = 60
                $0.requests = 600
                $0.pods = 3
                $0.seed = 7
            } onEnd: {
                for server in [first] + others { server.drain(grace: .seconds(1)) {} }
                guard let metrics else { return control.drain(grace: .zero) {} }
                ask(loop, control.address, "/metrics") {
                    metrics($0)
                    control.drain(grace: .zero) {}
                }
            }
            client.expose(on: control)
            try control.listen(on: anyPort)
            client.start { _ in }
            loop.run()
            report = HoldReport(client, distribution: distribution)
        }
        return try #require(report)
    }

    @Test("the table, the JSON and the CSV say the same")
    func same() throws {
        let report = try report(of: ["pod-a", "p,\"x\""])
        let text = report.text()
        let table = text.split(separator: "\n").map { $0.split(separator: " ") }
        #expect(table[0].prefix(2) == ["counts", "server-name"])
        let value = try JSONSerialization.jsonObject(with: Data(report.json))
        let json = try #require(value as? [String: Any])
        let pods = try #require(json["pods"] as? [[String: Any]])
        let counts = pods.compactMap { $0["count"] as? Int }
        #expect(counts.count == 2 && counts.reduce(0, +) == 600)
        for pod in pods {
            let name = try #require(pod["name"] as? String)
            let row = try #require(table.first { $0.count > 3 && $0[1] == name })
            #expect(Int(row[0]) == pod["count"] as? Int)
            #expect(row.last.flatMap { Int($0) } == pod["connections"] as? Int)
        }
        #expect(json["sent"] as? Int == 600 && json["answered"] as? Int == 600)
        #expect(json["seed"] as? Int == 7 && json["unanswered"] as? Int == 0)
        let jain = try #require(json["jain"] as? Double)
        #expect(text.contains("Jain's index \(decimal(jain, 4)) over 2 pods"))
        let csv = String(decoding: report.csv, as: UTF8.self)
        #expect(csv.hasPrefix("second,seconds,open,inflight,failures,sharing,jain,"))
        #expect(csv.contains("\"p,\"\"x\"\"\""))
    }

    /// Seconds of three pods, two of which are replaced under new names; evenly spread but for the
    /// last second.
    private var rollout: Distribution {
        var distribution = Distribution(start: Instant(nanoseconds: 0), promised: 3)
        for second in 0..<20 {
            let counts = second < 12 ? [20, 20, 20] : [second == 19 ? 30 : 20, 0, 0, 20, 20]
            let now = Instant(nanoseconds: 0) + .seconds(second)
            for (pod, count) in counts.enumerated() {
                for _ in 0..<count { distribution.record(pod: pod, now: now) }
            }
            distribution.advance(now: now + .seconds(1), gauges: .init(), held: [])
        }
        return distribution
    }

    @Test("how even it was after a rollout: text, JSON, CSV and a merge agree to the digit")
    func agreement() throws {
        let report = try report(of: ["a", "b", "c", "d", "e"], distribution: rollout)
        let jain = try #require(report.jainIndex)
        let recent = try #require(report.recentJainIndex)
        #expect(jain > 0.99 && jain < 1 && recent > 0.98 && recent < jain)
        let value = try JSONSerialization.jsonObject(with: Data(report.json))
        let json = try #require(value as? [String: Any])
        // The text of it: Foundation reads the last digit of a number wrongly.
        let document = String(decoding: report.json, as: UTF8.self)
        #expect(document.contains("\"jain\":\(jain),\"recentjain\":\(recent),"))
        let imbalance = try #require(report.imbalance)
        #expect(document.contains("\"imbalance\":\(imbalance),"))
        #expect(json["podspromised"] as? Int == 3 && json["podssharing"] as? Int == 3)
        let index = "Jain's index \(decimal(jain, 4)) over 5 pods, 2 of them gone"
        let text = report.text()
        #expect(text.contains("\(index); \(decimal(recent, 4)) in the last 5 s\n"))
        let pods = try #require(json["pods"] as? [[String: Any]])
        #expect(pods.map { $0["gone"] as? Bool } == [false, true, true, false, false])
        #expect(text.split(separator: "\n").count { $0.contains("    gone ") } == 2)
        // The CSV's index of each second is the JSON's; the last is that of 30, 20 and 20.
        let series = document.split(separator: "\"second\":").dropFirst()
        let lines = String(decoding: report.csv, as: UTF8.self).split(separator: "\n").dropFirst()
        #expect(series.count == 20 && lines.count == 20)
        for (line, entry) in zip(lines, series) {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            let jain = try #require(entry.split(separator: "\"jain\":").last?.prefix { $0 != "," })
            #expect(Double(fields[6]) == Double(jain) && fields[5] == "3")
            #expect(entry.contains("\"sharing\":3,"))
        }
        let last = try #require(lines.last?.split(separator: ",").dropFirst(6).first)
        #expect(try abs(#require(Double(last)) - 4900.0 / (3 * 1700)) < 1e-12)
        #expect(report.series.last?.recentJainIndex == recent)
        var merge = ResultMerge(tables: ResultTables.all)
        try report.json.withUnsafeBytes { try merge.add($0, name: "one") }
        let merged = String(decoding: merge.json, as: UTF8.self)
        #expect(merged.contains("\"imbalance\":\(imbalance),\"jain\":\(jain),"), "\(merged)")
    }

    @Test("the metrics say the same as the document, to the digit")
    func metrics() throws {
        var metrics = ""
        let report = try report(of: ["a", "b"]) { metrics = $0 }
        let jain = try #require(report.jainIndex)
        #expect(jain < 0.7)  // of three that were promised two answered
        #expect(metrics.contains("\nsonde_longlived_client_jain_index \(jain)\n"))
        #expect(metrics.contains("\nsonde_longlived_client_sharing_pods 3\n"))
        #expect(report.text().contains("over 2 pods and 1 promised that never answered"))
        #expect(report.delays.count > 0 && report.text().contains("\nown delay  p50 "))
        let count = "sonde_longlived_client_own_delay_seconds_count \(report.delays.count)"
        #expect(metrics.contains("\n\(count)\n"))
    }

    @Test("with more pods than rows the rest is summed up; no answer is no figure")
    func rows() throws {
        let report = try report(of: ["pod-a", "pod-b", "pod-c"])
        let text = report.text(rows: 1)
        #expect(
            text.contains("(2 more)") && text.split(separator: "\n")[1].contains("100") == false)
        #expect(text.contains("600 requests in ") && text.contains("600 answered, 0 lost"))
        #expect(text.contains("60 of 60 connections open"))
        try withLoop { loop in
            let target = try #require(HoldTarget("http://127.0.0.1:1/"))
            let client = HoldClient(
                loop: loop, configuration: HoldClientConfiguration(target: target), onLine: nil,
                onTick: {}, onEnd: {})
            #expect(!client.report.text().contains("Jain"))
            #expect(String(decoding: client.report.json, as: UTF8.self).contains("\"jain\":null"))
            client.stop()
        }
    }

    @Test("decimals are rounded, not cut off")
    func decimals() {
        #expect(decimal(1.2345, 3) == "1.235" && decimal(0.9999, 3) == "1.000")
        #expect(decimal(2, 0) == "2" && decimal(0.05, 1) == "0.1" && decimal(-1.26, 1) == "-1.3")
        #expect(decimal(.infinity, 1) == "inf")
    }
}
