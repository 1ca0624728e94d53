import Pacing
import Telemetry
import Testing

@Suite struct ProbeLoadTests {
    private let t0 = Instant(nanoseconds: 3_600_000_000_000)

    /// Starts `rate` probes a second for so many seconds; `answers` of every ten have an answer.
    private func load(
        _ rate: Int, seconds: Int, answers: Int = 0, of load: ProbeLoad = ProbeLoad(),
        from start: Instant
    ) -> ProbeLoad {
        var load = load
        for number in 0..<rate * seconds {
            let now = start + .nanoseconds(Int64(number) * 1_000_000_000 / Int64(rate))
            load.started(now: now)
            if number % 10 < answers { load.answered(startedAt: now, now: now + .milliseconds(3)) }
        }
        return load
    }

    @Test("entries are the unanswered SYNs of 120 seconds, however long it goes on")
    func entries() {
        let short = load(100, seconds: 30, from: t0)
        #expect(short.entries(at: t0 + .seconds(29)) == 3000)
        let long = load(100, seconds: 600, from: t0)
        #expect((12_000...12_100).contains(long.entries(at: t0 + .seconds(600))))
        #expect(long.peakEntries <= 12_100)
        #expect(long.entries(at: t0 + .seconds(660)) == 6000)
        #expect(long.entries(at: t0 + .seconds(719)) == 100)
        #expect(long.entries(at: t0 + .seconds(720)) == 0)
        #expect(long.entries(at: t0 + .seconds(1_000_000)) == 0)
    }

    @Test("an answered SYN holds none; one that is not remembered changes nothing")
    func answers() {
        let most = load(100, seconds: 60, answers: 9, from: t0)
        #expect(most.entries(at: t0 + .seconds(60)) == 600)
        var all = load(10, seconds: 10, answers: 10, from: t0)
        #expect(all.entries(at: t0 + .seconds(10)) == 0)
        all.answered(startedAt: t0, now: t0 + .seconds(11))
        all.answered(startedAt: t0 - .seconds(700), now: t0 + .seconds(11))
        all.answered(startedAt: t0 + .seconds(99), now: t0 + .seconds(11))
        #expect(all.entries(at: t0 + .seconds(11)) == 0)
    }

    @Test("the rate is the mean of the last ten seconds, and not known before one is over")
    func rate() {
        #expect(ProbeLoad().rate(at: t0) == nil)
        let early = load(40, seconds: 1, from: t0)
        #expect(early.rate(at: t0 + .milliseconds(999)) == nil)
        #expect(early.rate(at: t0 + .seconds(1)) == 40)
        let long = load(40, seconds: 20, from: t0)
        #expect(long.rate(at: t0 + .seconds(20)) == 40)
        #expect(long.rate(at: t0 + .seconds(25)) == 20)
        #expect(long.rate(at: t0 + .seconds(600)) == 0)
        let burst = load(90, seconds: 1, of: long, from: t0 + .seconds(20))
        #expect(burst.rate(at: t0 + .seconds(21)) == 45)
        #expect(burst.peakRate == 90)
    }

    @Test("a first second that was not whole is left out of the rate")
    func partialSecond() {
        let late = load(100, seconds: 2, from: t0 + .milliseconds(900))
        #expect(late.rate(at: t0 + .milliseconds(2900)) == 100)
        let early = load(100, seconds: 1, from: t0 + .milliseconds(900))
        #expect(early.rate(at: t0 + .milliseconds(1900)) == nil)
    }

    @Test("one warning, past 65,536 entries, that names the flag")
    func warning() {
        var load = load(1024, seconds: 64, from: t0)
        #expect(load.peakEntries == 65_536)
        #expect(load.warning(flag: "--max-rate") == nil)
        load.started(now: t0 + .seconds(64))
        #expect(load.warning(flag: "--max-rate")?.contains("--max-rate lowers it") == true)
        load.started(now: t0 + .seconds(64))
        #expect(load.warning(flag: "--max-rate") == nil)
        #expect(load.summary.contains("1024 probes in a second, and 65538 connection-tracking"))
    }

    @Test("what is not known has no sample")
    func metrics() {
        var text = PrometheusText()
        ProbeLoad().write(to: &text, now: t0)
        let none = String(decoding: text.bytes, as: UTF8.self)
        #expect(!none.contains("\nsonde_probe_rate "))
        #expect(none.contains("\nsonde_probe_tracking_entries 0\n"))
        text = PrometheusText()
        load(40, seconds: 2, from: t0).write(to: &text, now: t0 + .seconds(2))
        let some = String(decoding: text.bytes, as: UTF8.self)
        #expect(some.contains("\nsonde_probe_rate 40\n"))
        #expect(some.contains("\nsonde_probe_tracking_entries 80\n"))
    }
}
