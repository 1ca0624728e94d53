import Pacing
import Telemetry
import Testing

/// How late a process is, under virtual time.
@Suite struct DelaySamplerTests {
    private func at(_ milliseconds: Int64) -> Instant {
        Instant(nanoseconds: 7_000_000_000) + .milliseconds(milliseconds)
    }

    @Test("what is punctual is a delay of zero, what comes late is late by that much; not before")
    func late() {
        var sampler = DelaySampler(interval: .milliseconds(10), now: at(0))
        #expect(sampler.sample(now: at(10) - .nanoseconds(1)) == nil)
        #expect(sampler.delays.count == 0 && sampler.nextDeadline == at(10))
        sampler.sample(now: at(10))
        #expect(sampler.sample(now: at(23)) == .milliseconds(3))
        #expect(sampler.delays.count == 2)
        #expect(sampler.delays.minimum == .zero && sampler.delays.maximum == .milliseconds(3))
        #expect(sampler.nextDeadline == at(30), "its rhythm stays")
    }

    @Test("a pause counts for all of its time, and not as one event")
    func pause() {
        var sampler = DelaySampler(interval: .milliseconds(10), now: at(0))
        for step in 1...70 { sampler.sample(now: at(Int64(step) * 10)) }
        sampler.sample(now: at(1000))  // stopped from 700 on: 30 % of the second
        #expect(sampler.delays.count == 100 && sampler.nextDeadline == at(1010))
        #expect(sampler.delays.count(above: .milliseconds(5)) == 29)
        #expect(sampler.delays.maximum == .milliseconds(290))
        #expect(sampler.delays.percentile(70) == .zero)
        #expect(sampler.delays.mean == .microseconds(43_500))
    }

    @Test("a machine that was asleep for days costs no more than a bounded number of samples")
    func suspended() {
        var sampler = DelaySampler(interval: .milliseconds(10), now: at(0))
        sampler.sample(now: at(3 * 86_400_000 + 5))
        #expect(sampler.delays.count == 10_001)
        #expect(sampler.nextDeadline == at(3 * 86_400_000 + 10))
    }

    @Test("where nothing happens it looks more seldom, and every interval counts as before")
    func idle() {
        var sampler = DelaySampler(interval: .milliseconds(10), now: at(0))
        var looks: [Int64] = []
        var (moment, busy) = (Int64(0), false)
        while moment < 1000 {
            moment = (sampler.nextDeadline - at(0)).nanoseconds / 1_000_000
            looks.append(moment)
            sampler.sample(now: at(moment), isIdle: !busy)
            #expect(sampler.delays.count == moment / 10)
            busy = moment == 310
        }
        #expect(looks == [10, 30, 70, 150, 310, 470, 480, 500, 540, 620, 780, 940, 1100])
        // Late after a stretch: all that could have been due in it is taken for as late.
        sampler.sample(now: at(1260 + 3), isIdle: true)
        #expect(sampler.delays.count == 126 && sampler.delays.count(above: .milliseconds(2)) == 16)
        // A pause is one for its own time only.
        sampler.sample(now: at(1420 + 200), isIdle: true)
        #expect(sampler.delays.count == 142 + 20)
        #expect(sampler.delays.count(above: .milliseconds(11)) == 19)
    }
}
