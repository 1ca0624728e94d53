import Foundation
import JSONCodec
import Pacing
import Telemetry
import Testing

@testable import Result

@Suite struct RunResultTests {
    @Test func whatIsWrittenIsReadBackTheSame() throws {
        var result = Sample.result(7)
        result.notes = ["own delay is a tenth of the p99"]
        let json = result.json
        #expect(try Sample.read(json) == result)
        #expect(try Sample.read(json).json == json)
    }

    @Test func whatIsNotKnownIsNullAndStaysUnknown() throws {
        let result = RunResult(Sample.kind, run: Sample.run(1))
        let text = String(decoding: result.json, as: UTF8.self)
        #expect(text.contains("\"sent\":null"))
        #expect(text.contains("\"delayms\":{\"value\":null,\"least\":null,\"most\":null}"))
        #expect(text.contains("\"p99ms\":null"))
        #expect(try Sample.read(result.json) == result)
        #expect(!String(decoding: result.prometheus, as: UTF8.self).contains("sample_"))
        #expect(ResultText([("a", result)]).text.contains("\nnot known: sent, answered, rate, "))
    }

    @Test func aDocumentOfAnOlderVersionLacksFiguresAndIsReadAllTheSame() throws {
        let text = String(decoding: Sample.result(1).json, as: UTF8.self)
        let older = try #require(text.range(of: "\"answered\":50,")).lowerBound
        var shorter = text
        shorter.removeSubrange(older..<text.index(older, offsetBy: 14))
        let result = try Sample.read(Array(shorter.utf8))
        #expect(result[Sample.answered] == .unknown)
        #expect(result[Sample.sent] == .integer(100))
    }

    @Test(arguments: [
        ("{}", "not a result: it has no member 'kind'"),
        ("{\"kind\":\"other\"}", "is of the kind 'other': expected 'sample'"),
        (
            "{\"kind\":\"sample\"}",
            "lacks 'schema', perhaps because an older version wrote it"
        ),
        (
            "{\"kind\":\"sample\",\"schema\":2}",
            "is of schema 2, written by a newer version: expected 1"
        ),
        (
            "{\"kind\":\"sample\",\"schema\":1,\"runs\":[]}",
            "'runs' is an array: expected an array of runs"
        ),
        ("{\"kind\":", "not a whole JSON document"),
    ])
    func whatIsNoResultIsRefusedWithASentence(document: String, reason: String) throws {
        let refusal = #expect(throws: ResultRefusal.self) {
            try Sample.read(Array(document.utf8))
        }
        #expect(refusal?.description.hasPrefix("a.json: " + reason) == true)
    }

    @Test(arguments: [
        ("\"sent\":100", "\"sent\":1.5", "'figures.sent' is 1.5: expected a whole number"),
        ("\"own\":true", "\"own\":1", "'figures.own' is 1: expected true or false"),
        (
            "\"began\":\"2026", "\"began\":\"x2026",
            "'runs.began' is 'x2026-11-24T09:00:00Z': expected an RFC 3339 time"
        ),
        (
            "\"kind\":\"closed\",\"count\":3", "\"kind\":\"refused 1\",\"count\":3",
            "'breakdowns.misses' has 'refused 1' twice"
        ),
    ])
    func aWrongMemberIsNamed(right: String, wrong: String, reason: String) throws {
        let text = String(decoding: Sample.result(1).json, as: UTF8.self)
        let range = try #require(text.range(of: right))
        let refusal = #expect(throws: ResultRefusal.self) {
            try Sample.read(Array(text.replacingCharacters(in: range, with: wrong).utf8))
        }
        #expect(refusal?.description == "a.json: " + reason)
    }

    @Test func ofEachDocumentThatIsCutShortNothingIsTaken() throws {
        let json = Sample.result(1).json
        for count in stride(from: 0, to: json.count - 2, by: 7) {
            #expect(throws: ResultRefusal.self) { try Sample.read(Array(json[..<count])) }
        }
    }

    // MARK: - Merging

    @Test func eachFigureIsMergedAsItIsDeclared() throws {
        var result = Sample.result(1)
        try result.merge(Sample.result(2, sent: 50), name: "b.json")
        #expect(result.runs.map(\.host) == ["pod-1", "pod-2"])
        #expect(result[Sample.sent] == .integer(150))
        #expect(result[Sample.rate] == .number(15))
        #expect(result[Sample.loss] == .number(2))
        #expect(
            result[Sample.delay]
                == Measure(.number(2.5), least: .number(2), most: .number(2.5)))
        #expect(result[Sample.first] == .moment(Sample.epoch + .seconds(1)))
        #expect(result[Sample.mode] == .text("open"))
        #expect(result[Sample.peak] == .unknown)
        #expect(result.leftOut == ["configuration.pod", "peak"])
        #expect(result.configuration == ["interval": "50ms"])
        #expect(result.rows(Sample.misses) == ["closed", "refused 1", "refused 2"])
        #expect(result[Sample.misses, "closed", Sample.count] == .integer(6))
        #expect(result[Sample.misses, "closed", Sample.share] == .number(0.75))
        #expect(result[Sample.misses, "refused 2", Sample.share] == .number(0.125))
        #expect(result[Sample.latency].count == 200)
    }

    @Test func ratesOfWhatRanOneAfterTheOtherAreNotAdded() throws {
        var sideBySide = Sample.result(1)
        try sideBySide.merge(Sample.result(2), name: "b")
        #expect(sideBySide[Sample.rate] == .number(20))
        var inTurn = Sample.result(1)
        try inTurn.merge(Sample.result(2, after: 60), name: "b")
        #expect(inTurn[Sample.rate] == .number(10))
        #expect(inTurn.elapsed == .seconds(20))
        var overlapping = Sample.result(1)
        try overlapping.merge(Sample.result(2, after: 5), name: "b")
        #expect(overlapping.elapsed == .seconds(15))
    }

    @Test func theSameRunIsNotMergedTwice() throws {
        var result = Sample.result(1)
        try result.merge(Sample.result(2), name: "b.json")
        let before = result
        for twice in [Sample.result(1), result] {
            let refusal = #expect(throws: ResultRefusal.self) {
                try result.merge(twice, name: "c.json")
            }
            #expect(refusal?.isMismatch == true)
            #expect(refusal?.description.contains("of pod-1, which is in it already") == true)
            #expect(result == before)
        }
    }

    @Test func whatIsAboutAnotherThingIsRefused() throws {
        var result = Sample.result(1)
        var other = Sample.result(2)
        other[Sample.target] = .text("10.0.0.2:80")
        let refusal = #expect(throws: ResultRefusal.self) {
            try result.merge(other, name: "b.json")
        }
        #expect(refusal?.description == "b.json: 'target' differs from the others'")
        let stranger = RunResult(
            ResultKind(name: "other", title: "", figures: []), run: Sample.run(3))
        #expect(throws: ResultRefusal.self) { try result.merge(stranger, name: "c.json") }
    }

    @Test func whatOneRunDoesNotKnowIsNotKnownOfAll() throws {
        var result = Sample.result(1)
        var other = Sample.result(2)
        other[Sample.sent] = .unknown
        other[Sample.delay].least = nil
        try result.merge(other, name: "b")
        #expect(result[Sample.sent] == .unknown)
        #expect(result[Sample.rate] == .unknown)
        #expect(result[Sample.delay] == Measure(.number(2.5), least: nil, most: .number(2.5)))
    }

    /// Associative, and the same in whatever order; through documents at every step.
    @Test func orderAndGroupingMakeNoDifference() throws {
        var random = SeededRandom(seed: 5)
        for _ in 0..<40 {
            let parts = (UInt64(0)..<5).map { number in
                var part = Sample.result(
                    number, after: Double(random.next() % 30),
                    seconds: Double(1 + random.next() % 20), sent: Int(random.next() % 1000))
                if random.next() % 4 == 0 { part[Sample.mode] = .text("closed") }
                if random.next() % 6 == 0 { part[Sample.answered] = .unknown }
                part.notes = random.next() % 3 == 0 ? ["late"] : []
                return part
            }
            func join(_ parts: some Collection<RunResult>) throws -> RunResult {
                var whole = try #require(parts.first)
                for part in parts.dropFirst() {
                    try whole.merge(try Sample.read(part.json), name: "x")
                }
                return try Sample.read(whole.json)
            }
            let whole = try join(parts)
            #expect(try join(parts.reversed()) == whole)
            #expect(try join([join(parts[..<2]), join(parts[2...])]) == whole)
            #expect(try join([parts[3], join([parts[1], parts[4], parts[0]]), parts[2]]) == whole)
        }
    }

    @Test func mergedPercentilesAreThoseOfAllValuesTogether() throws {
        var random = SeededRandom(seed: 9)
        var all = LatencyHistogram()
        var whole: RunResult?
        for number in 0..<4 {
            var part = Sample.result(UInt64(number))
            var histogram = LatencyHistogram()
            for _ in 0..<500 {
                let value = Duration.nanoseconds(Int64(random.next() % 1_000_000_000))
                histogram.record(value)
                all.record(value)
            }
            part[Sample.latency] = histogram
            if whole == nil { whole = part } else { try whole?.merge(part, name: "x") }
        }
        #expect(whole?[Sample.latency] == all)
    }
}
