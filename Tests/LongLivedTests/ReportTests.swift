import Foundation
import Pacing
import Reactor
import Testing

@testable import LongLived

@Suite(.serialized) struct ReportTests {
    private func report(of names: [String]) throws -> HoldReport {
        var report: HoldReport?
        try withLoop { loop in
            let first = try server(loop, names[0]) { $0.reusesPort = true }
            let others = try names.dropFirst().map { name in
                try server(loop, name) {
                    $0.reusesPort = true
                    $0.listen = first.address ?? anyPort
                }
            }
            let client = try client(loop, first.address) {
                $0.connections = 60
                $0.requests = 600
                $0.seed = 7
            } onEnd: {
                for server in [first] + others { server.drain(grace: .seconds(1)) {} }
            }
            client.start { _ in }
            loop.run()
            report = client.report
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
        let csv = String(decoding: report.csv, as: UTF8.self).split(separator: "\n")
        #expect(csv[0].hasPrefix("second,open,inflight,failures,jain,"))
        #expect(csv[0].contains("\"p,\"\"x\"\"\""))
        let series = try #require(json["series"] as? [[String: Any]])
        #expect(csv.count == series.count + 1)
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
