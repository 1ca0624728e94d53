import CLibuv
import Synchronization
import TestSupport
import Testing

@testable import Reactor

/// Touched by the loop's thread alone, which the thread sanitizer checks: no lock hides a mistake.
private final class Diary: @unchecked Sendable {
    var entries: [(thread: Int, number: Int)] = []
    var strangers = 0
    let home = pthread_self()

    func write(_ thread: Int, _ number: Int) {
        if pthread_equal(home, pthread_self()) == 0 { strangers += 1 }
        entries.append((thread, number))
    }
}

@Suite struct PostTests {
    @Test("what threads post is done on the loop's thread, in each one's order")
    func order() throws {
        let diary = Diary()
        try withLoop { loop in
            let poster = try LoopPoster(loop: loop, keepsLoopAlive: true)
            let done = try LoopPoster(loop: loop)
            let threads = Threads(4) { thread in
                for number in 0..<2000 {
                    poster.post {
                        diary.write(thread, number)
                        if diary.entries.count == 8000 { done.post { loopIsDone(poster, done) } }
                    }
                }
            }
            loop.run()
            threads.join()
        }
        #expect(diary.strangers == 0)
        for thread in 0..<4 {
            let numbers = diary.entries.filter { $0.thread == thread }.map(\.number)
            #expect(numbers == Array(0..<2000))
        }
    }

    @Test("only the first in an empty line wakes the loop, and none in a closed one")
    func places() throws {
        try withLoop { loop in
            let line = PostLine(loop: loop)
            #expect(line.append {} == .first)
            #expect(line.append {} == .behindOthers)
            line.work()
            #expect(line.append {} == .first)
            line.close()
            #expect(line.append {} == .closed)
        }
    }

    @Test("many posts are one turn's work, and what they post is the next one's")
    func turns() throws {
        let diary = Diary()
        try withLoop { loop in
            let poster = try LoopPoster(loop: loop)
            for number in 0..<100 {
                poster.post {
                    diary.write(0, number)
                    if number < 10 { poster.post { diary.write(1, number) } }
                }
            }
            #expect(diary.entries.isEmpty)
            loop.runOnce(wait: false)
            #expect(diary.entries.count == 100)
            loop.runOnce(wait: false)
            #expect(diary.entries.count == 110)
            poster.close()
        }
    }

    @Test("a closed poster takes no more, and what it took is done by the loop's close")
    func closed() throws {
        let diary = Diary()
        weak var gone: EventLoop?
        var kept: LoopPoster?
        do {
            let loop = try EventLoop()
            gone = loop
            let poster = try LoopPoster(loop: loop)
            #expect(poster.post { diary.write(0, 0) })
            poster.close()
            poster.close()
            let isTaken = poster.post { diary.write(0, 1) }
            #expect(!isTaken)
            #expect(diary.entries.isEmpty)
            try loop.close()
            kept = poster
        }
        #expect(diary.entries.map(\.number) == [0])
        // The loop itself is gone; its poster says so.
        #expect(gone == nil)
        #expect(kept?.post {} == false)
    }

    @Test("a poster keeps the loop running only where it is asked to")
    func life() throws {
        let diary = Diary()
        let loop = try EventLoop()
        let poster = try LoopPoster(loop: loop)
        poster.post { diary.write(0, 0) }
        loop.run()
        #expect(diary.entries.isEmpty, "nothing kept it running")
        poster.setKeepsLoopAlive(true)
        poster.post { poster.close() }
        loop.run()
        #expect(diary.entries.count == 1)
        try loop.close()
    }

    @Test("threads that post while the loop is closed lose nothing that was accepted")
    func race() throws {
        for _ in 0..<20 {
            let diary = Diary()
            let accepted = Atomic<Int>(0)
            let loop = try EventLoop()
            let poster = try LoopPoster(loop: loop, keepsLoopAlive: true)
            let threads = Threads(2) { thread in
                var number = 0
                while poster.post({ diary.write(thread, 0) }) { number += 1 }
                accepted.add(number, ordering: .relaxed)
            }
            while diary.entries.count < 20 { loop.runOnce(wait: false) }
            poster.close()
            try loop.close()
            threads.join()
            let count = accepted.load(ordering: .relaxed)
            #expect(diary.entries.count == count)
            #expect(diary.strangers == 0)
        }
    }
}

/// Closes both from work of the loop's own.
private func loopIsDone(_ posters: LoopPoster...) {
    for poster in posters { poster.close() }
}
