import CLibuv
import Foundation
import Pacing
import Testing

@testable import Reactor

/// Files and pipes that are written in the background.
@Suite(.serialized) struct BackgroundWriterTests {
    private func write(_ bytes: [UInt8], to writer: BackgroundWriter) {
        let chunk = writer.takeChunk()
        bytes.withUnsafeBytes { chunk.copyMemory(from: $0.baseAddress!, byteCount: $0.count) }
        writer.write(chunk, count: bytes.count)
    }

    @Test("every byte arrives, in order, and the file is closed at the end")
    func order() throws {
        let folder = try Folder()
        let path = folder.path("file")
        var expected: [UInt8] = []
        var outcomes: [UVError?] = []
        weak var watched: BackgroundWriter?
        try withLoop { loop in
            let writer = try BackgroundWriter(loop: loop, path: path)
            watched = writer
            for index in 0..<300 {
                let piece = [UInt8](
                    repeating: UInt8(truncatingIfNeeded: index), count: 1 + index * 37 % 5000)
                expected += piece
                write(piece, to: writer)
            }
            writer.finish {
                outcomes.append($0)
                #expect(writer.pendingBytes == 0)
                #expect(writer.writtenBytes == UInt64(expected.count))
            }
            #expect(outcomes.isEmpty, "not inside the call")
        }
        #expect(outcomes.count == 1 && outcomes.first == .some(nil))
        #expect(FileManager.default.contents(atPath: path).map { [UInt8]($0) } == expected)
        #expect(watched == nil)
    }

    @Test("a full disk is told once, with the path; the rest is dropped and the end still comes")
    func full() throws {
        var failures: [UVError] = []
        var outcome: UVError??
        try withLoop { loop in
            let writer = try BackgroundWriter(loop: loop, path: "/dev/full")
            writer.onFailure = {
                failures.append($0)
                write([1, 2, 3], to: writer)  // too late
                writer.finish { outcome = $0 }
            }
            for _ in 0..<10 { write([UInt8](repeating: 7, count: 1000), to: writer) }
            #expect(failures.isEmpty, "not inside the call")
        }
        #expect(failures.map(\.description) == ["write /dev/full: no space left on device"])
        #expect(outcome == .some(failures.first))
    }

    @Test("a path that cannot be made is an error that names it")
    func unwritable() throws {
        try withLoop { loop in
            let error = #expect(throws: UVError.self) {
                _ = try BackgroundWriter(loop: loop, path: "/no/such/folder/file")
            }
            #expect(
                error?.description == "write /no/such/folder/file: no such file or directory")
        }
    }

    @Test("a reader that does not read holds the writer back, and nothing is lost when it does")
    func backpressure() throws {
        let folder = try Folder()
        let path = folder.path("file")
        #expect(mkfifo(path, 0o600) == 0)
        let reader = open(path, O_RDONLY | O_NONBLOCK)
        defer { Foundation.close(reader) }
        var drained = 0
        var received = 0
        var sent = 0
        try withLoop { loop in
            let writer = try BackgroundWriter(loop: loop, path: path)
            writer.onDrain = { drained += 1 }
            let piece = [UInt8](repeating: 1, count: BackgroundWriter.chunkBytes)
            while !writer.isBackpressured {
                write(piece, to: writer)
                sent += piece.count
            }
            #expect(writer.pendingBytes > writer.highWaterBytes)
            #expect(writer.pendingBytes <= writer.highWaterBytes + piece.count)
            var timer: Reactor.Timer?
            var isOver = false
            timer = Reactor.Timer(loop: loop) {
                var bytes = [UInt8](repeating: 0, count: 1 << 20)
                while case let count = read(reader, &bytes, bytes.count), count > 0 {
                    received += count
                }
                if isOver {
                    timer?.close()
                    timer = nil
                } else {
                    timer?.schedule(after: .milliseconds(1))
                }
            }
            timer?.schedule(after: .zero)
            writer.finish {
                #expect($0 == nil)
                isOver = true
            }
        }
        #expect(drained == 1)
        #expect(received == sent)
    }
}
