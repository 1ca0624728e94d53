import Pacing
import Testing

@Suite struct SourceSpreadTests {
    @Test("connections go to the source that has the fewest, up to its share")
    func even() {
        var spread = SourceSpread(count: 3, perSource: 2)
        let taken = (0..<6).compactMap { _ in spread.take() }
        #expect(taken == [0, 1, 2, 0, 1, 2])
        #expect(spread.take() == nil && !spread.hasRoom && !spread.isBelowLimit)
        spread.closed(1)
        #expect(spread.hasRoom && spread.take() == 1 && spread.take() == nil)
    }

    @Test("a source without ports is passed over until one of its connections closes")
    func ports() {
        var spread = SourceSpread(count: 2, perSource: 10)
        #expect(spread.take() == 0 && spread.take() == 1 && spread.take() == 0)
        spread.dialFailed(0, outOfPorts: true)
        #expect(spread.take() == 1 && spread.take() == 1)
        spread.dialFailed(1, outOfPorts: true)
        #expect(spread.take() == nil && spread.isBelowLimit)
        spread.closed(0)
        #expect(spread.take() == 0)
    }

    @Test("one that has no connections either can be tried again; one that has some cannot")
    func retry() {
        var spread = SourceSpread(count: 2, perSource: 10)
        #expect(spread.take() == 0 && spread.take() == 1 && spread.take() == 0)
        spread.dialFailed(0, outOfPorts: true)
        spread.dialFailed(1, outOfPorts: true)
        #expect(!spread.hasRoom)
        spread.retryUnused()
        #expect(spread.take() == 1 && spread.take() == 1)
    }

    @Test(
        "no source is one without limit; a failed dial gives its place back; strangers do nothing")
    func unlimited() {
        var spread = SourceSpread(count: 0, perSource: 1)
        #expect((0..<100).allSatisfy { _ in spread.take() == 0 })
        spread.closed(7)
        spread.dialFailed(-1, outOfPorts: true)
        #expect(spread.take() == 0)
        var one = SourceSpread(count: 1, perSource: 1)
        #expect(one.take() == 0 && one.take() == nil)
        one.dialFailed(0, outOfPorts: false)
        one.dialFailed(0, outOfPorts: false)  // nobody is left to have failed
        #expect(one.take() == 0 && one.take() == nil)
    }
}
