import HTTP
import HTTPTypes

/// Sends a document that lies in pieces, as fast as its reader takes it: what waits for a slow
/// reader stays where it is instead of being copied into a queue.
enum ResultStream {
    private static let sliceBytes = 128 << 10

    static func send(_ pieces: [[UInt8]], to responder: HTTPResponder) {
        let length = pieces.reduce(0) { $0 + Int64($1.count) }
        let writer = responder.start(
            HTTPResponse(status: .ok, headerFields: [.contentType: "application/json"]),
            contentLength: length)
        if let writer { send(pieces, from: (0, 0), writer) }
    }

    private static func send(
        _ pieces: [[UInt8]], from place: (piece: Int, offset: Int), _ writer: HTTPResponseWriter
    ) {
        var place = place
        while place.piece < pieces.count {
            let piece = pieces[place.piece]
            let end = min(place.offset + sliceBytes, piece.count)
            let outcome = piece.withUnsafeBytes {
                writer.write(UnsafeRawBufferPointer(rebasing: $0[place.offset..<end]))
            }
            place = end < piece.count ? (place.piece, end) : (place.piece + 1, 0)
            switch outcome {
            case .flowing: continue
            case .gone: return
            case .backpressured:
                writer.whenWritable { [place] in send(pieces, from: place, writer) }
                return
            }
        }
        writer.finish()
    }
}
