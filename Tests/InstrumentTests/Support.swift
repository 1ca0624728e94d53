import Reactor
@_exported import TestSupport
import Testing

/// One request, on a connection of its own.
struct Ask {
    var method = "GET"
    var path: String
    var body = ""
}

/// Sends requests one after the other and hands all answers to `then`.
func ask(
    _ loop: EventLoop, _ address: SocketAddress?, _ requests: [Ask],
    then: @escaping (_ answers: [Answer]) -> Void
) {
    var answers: [Answer] = []
    func next(_ left: ArraySlice<Ask>) {
        guard let request = left.first else { return then(answers) }
        ask(loop, address, request.method, request.path, body: request.body) {
            answers.append($0)
            next(left.dropFirst())
        }
    }
    next(requests[...])
}
