import HTTP
import JSONCodec
import Logging

extension Logger {
    /// Answers a document that cannot be read with 400, and says so here as well: who sent it may
    /// not look at the answer, and wait for results that never come.
    ///
    /// - Parameter name: what the document was to be.
    func refuse(
        _ name: String, _ request: HTTPServerRequest, because error: JSONError,
        _ responder: HTTPResponder
    ) {
        let source = request.peerAddress.map { "\($0)" } ?? "a source that has gone"
        self.error(
            """
            Refused \(request.methodString) \(request.path) from \(source), \(request.body.count) \
            bytes: \(error); no run was started
            """)
        responder.respond(status: 400, body: "\(name): \(error)\n")
    }
}
