import NIOCore
import NIOHTTP1
import NIOPosix

/// The same server on swift-nio, as its documentation builds one: the standard HTTP pipeline with
/// one handler, on one thread.
///
///     hello-nio
@main
struct HelloNIO {
    static func main() throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 4096)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    try channel.pipeline.syncOperations.addHandler(HelloHandler())
                }
            }
        let channel = try bootstrap.bind(host: "127.0.0.1", port: 0).wait()
        print("127.0.0.1:\(channel.localAddress?.port ?? 0)")
        Output.flush()
        try channel.closeFuture.wait()
    }
}

private final class HelloHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private static let body = ByteBuffer(string: "hello, world\n")
    private static let head = HTTPResponseHead(
        version: .http1_1, status: .ok,
        headers: ["Content-Type": "text/plain; charset=utf-8", "Content-Length": "13"])

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard case .end = unwrapInboundIn(data) else { return }
        context.write(wrapOutboundOut(.head(HelloHandler.head)), promise: nil)
        context.write(wrapOutboundOut(.body(.byteBuffer(HelloHandler.body))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }
}
