import Testing

@testable import Reactor

@Suite struct DatagramTests {
    @Test func datagramsArriveWholeWithTheirSender() throws {
        try withLoop { loop in
            let receiver = try UDPSocket(loop: loop, address: anyPort)
            let sender = try UDPSocket(loop: loop, address: anyPort)
            let target = try #require(receiver.localAddress)
            // An empty one, an ordinary one, and the longest there can be.
            let contents: [[UInt8]] = [
                [], Array("hello".utf8), [UInt8](repeating: 7, count: UDPSocket.maximumBytes),
            ]
            var received: [[UInt8]] = []
            receiver.onReceive = { receiver, datagram in
                #expect(datagram.sender == sender.localAddress)
                #expect(!datagram.isTruncated)
                received.append(Array(datagram.bytes))
                guard received.count == contents.count else { return }
                receiver.close()
                sender.close()
            }
            receiver.resumeReading()
            for content in contents { #expect(sender.send(content, to: target) == .sent) }
            loop.run()
            #expect(received == contents)
        }
    }

    @Test func aConnectedSocketHearsOnlyItsPeerAndIsToldOfRefusal() throws {
        try withLoop { loop in
            let peer = try UDPSocket(loop: loop, address: anyPort)
            let stranger = try UDPSocket(loop: loop, address: anyPort)
            let socket = try UDPSocket(loop: loop, address: anyPort)
            let address = try #require(socket.localAddress)
            try socket.connect(to: try #require(peer.localAddress))
            var received: [[UInt8]] = []
            var complaints: [UVError.Kind] = []
            socket.onReceive = { socket, datagram in
                received.append(Array(datagram.bytes))
                // From now on nobody listens there.
                peer.close()
                loop.enqueue { socket.send([3]) }
            }
            socket.onError = { socket, error in
                complaints.append(error.kind)
                socket.close()
                stranger.close()
            }
            socket.resumeReading()
            stranger.send([1], to: address)
            peer.send([2], to: address)
            loop.run()
            #expect(received == [[2]])
            #expect(complaints == [.refused])
        }
    }

    @Test func whatCannotBeSentSaysWhy() throws {
        try withLoop { loop in
            let socket = try UDPSocket(loop: loop, address: anyPort)
            let target = try #require(socket.localAddress)
            let tooLong = [UInt8](repeating: 0, count: UDPSocket.maximumBytes + 1)
            guard case .failed(let error) = socket.send(tooLong, to: target) else {
                Issue.record("a datagram longer than can be was sent")
                return
            }
            #expect(error.description == "send \(target): message too long")
            socket.close()
            #expect(socket.send([1], to: target) == .dropped)
            #expect(socket.localAddress == nil)
        }
    }

    @Test func anAddressThatIsTakenIsRefused() throws {
        try withLoop { loop in
            let socket = try UDPSocket(loop: loop, address: anyPort)
            let taken = try #require(socket.localAddress)
            #expect(throws: UVError.self) { try UDPSocket(loop: loop, address: taken) }
            socket.close()
        }
    }

    @Test func whileReadingIsPausedTheKernelKeepsWhatComes() throws {
        try withLoop { loop in
            let receiver = try UDPSocket(loop: loop, address: anyPort)
            let sender = try UDPSocket(loop: loop, address: anyPort)
            let target = try #require(receiver.localAddress)
            var received: [UInt8] = []
            receiver.onReceive = { receiver, datagram in
                received.append(contentsOf: datagram.bytes)
                receiver.pauseReading()
                if received.count == 2 {
                    receiver.close()
                    sender.close()
                } else {
                    #expect(received == [1])
                    loop.enqueue { receiver.resumeReading() }
                }
            }
            receiver.resumeReading()
            sender.send([1], to: target)
            sender.send([2], to: target)
            loop.run()
            #expect(received == [1, 2])
        }
    }
}
