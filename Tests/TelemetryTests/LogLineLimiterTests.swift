import Telemetry
import Testing

@Suite struct LogLineLimiterTests {
    @Test(
        "of five thousand equal lines the 1st, 2nd, 3rd, 10th, 100th and every 1000th are printed")
    func printed() {
        var limiter = LogLineLimiter<String>()
        let printed = (0..<5000).compactMap { _ in limiter.occur("10.0.0.1:80") }
        #expect(printed == [1, 2, 3, 10, 100, 1000, 2000, 3000, 4000, 5000])
    }

    @Test("each target has its own count, and a reset starts them anew")
    func targets() {
        var limiter = LogLineLimiter<Int>()
        for _ in 0..<4 { _ = limiter.occur(1) }
        #expect(limiter.occur(1) == nil)
        #expect(limiter.occur(2) == 1)
        limiter.reset()
        #expect(limiter.occur(1) == 1)
    }

    @Test("nothing is printed for an occurrence that is none")
    func none() {
        #expect(!LogLineLimit.isPrinted(occurrence: 0))
        #expect(!LogLineLimit.isPrinted(occurrence: -1000))
    }
}
