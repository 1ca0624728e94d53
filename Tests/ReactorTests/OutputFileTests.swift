import Foundation
import TestSupport
import Testing

@testable import Reactor

/// Files that take the place of earlier ones when they are complete.
@Suite struct OutputFileTests {
    private func names(_ folder: Folder) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
    }

    @Test("an earlier file stays until the new one is complete, and for ever where that fails")
    func replacing() throws {
        let folder = try Folder()
        let path = try folder.file("result", "earlier")
        let file = try OutputFile(replacing: path)
        try file.write(Array("new".utf8))
        #expect(folder.text("result") == "earlier")
        try file.commit()
        #expect(folder.text("result") == "new")
        #expect(throws: UVError.self) { try file.write([1]) }

        let abandoned = try OutputFile(replacing: path)
        try abandoned.write(Array("half".utf8))
        abandoned.close()
        #expect(folder.text("result") == "new")
        #expect(try names(folder) == ["result"])
    }

    @Test("a file keeps its permissions, and a link goes on leading to it")
    func links() throws {
        let folder = try Folder()
        let path = try folder.file("result", "earlier")
        let manager = FileManager.default
        try manager.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        let link = folder.path("link")
        try manager.createSymbolicLink(atPath: link, withDestinationPath: path)
        let file = try OutputFile(replacing: link)
        try file.write(Array("new".utf8))
        try file.commit()
        #expect(folder.text("result") == "new")
        #expect(try manager.destinationOfSymbolicLink(atPath: link) == path)
        let mode = try manager.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
    }

    @Test("a device is written as it is, and says when it is full")
    func device() throws {
        let file = try OutputFile(replacing: "/dev/full")
        #expect { try file.write([1]) } throws: {
            "\($0)" == "write /dev/full: no space left on device"
        }
        file.close()
        try OutputFile(replacing: "/dev/null").commit()
        #expect(FileManager.default.fileExists(atPath: "/dev/null"))
        #expect { try OutputFile(replacing: "/no/such/folder/x") } throws: {
            "\($0)" == "write /no/such/folder/x: no such file or directory"
        }
    }

    @Test("rows written in the background take their place with the end, or not at all")
    func background() throws {
        let folder = try Folder()
        let path = try folder.file("rows", "earlier")
        for isFinished in [false, true] {
            try withLoop { loop in
                var writer: BackgroundWriter? = try BackgroundWriter(loop: loop, path: path)
                if let chunk = writer?.takeChunk() {
                    chunk.storeBytes(of: 65, as: UInt8.self)
                    writer?.write(chunk, count: 1)
                }
                if isFinished { writer?.finish { #expect($0 == nil) } }
                writer = nil
            }
            #expect(folder.text("rows") == (isFinished ? "A" : "earlier"))
            #expect(try names(folder) == ["rows"])
        }
    }

    @Test("a stream that others have made non-blocking gets every byte from the background, too")
    func nonblocking() throws {
        var ends: [Int32] = [-1, -1]
        #expect(pipe(&ends) == 0)
        for end in ends { #expect(fcntl(end, F_SETFL, O_NONBLOCK) == 0) }
        var received = 0
        try withLoop { loop in
            let writer = BackgroundWriter(loop: loop, place: try OutputPlace(ends[1], "pipe"))
            for _ in 0..<4 { writer.write(writer.takeChunk(), count: BackgroundWriter.chunkBytes) }
            writer.finish { #expect($0 == nil) }
            var reader: Reactor.Timer?
            var piece = [UInt8](repeating: 0, count: 65_536)
            reader = Reactor.Timer(loop: loop) {
                let count = read(ends[0], &piece, piece.count)
                guard count != 0 else {
                    reader?.close()
                    return
                }
                received += max(count, 0)
                reader?.schedule(after: .milliseconds(1))
            }
            reader?.schedule(after: .milliseconds(1))
        }
        close(ends[0])
        #expect(received == 4 * BackgroundWriter.chunkBytes)
    }
}
