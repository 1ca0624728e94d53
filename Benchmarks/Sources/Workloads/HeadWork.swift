import HTTPCodec

/// Request and response heads, as the server and the client read them.
enum HeadWork {
    static let all = [
        request("request-head-short", short), request("request-head-long", long), response,
    ]

    private static func request(_ name: String, _ text: String) -> Workload {
        let bytes = Array(text.utf8)
        return Workload(name: name, bytes: bytes.count) { count in
            let context = HTTPCodecContext()
            var parser = HeadParser()
            var fields = 0
            bytes.withUnsafeBytes { bytes in
                for _ in 0..<count where parser.parseRequest(bytes, context) == .complete {
                    fields += Int(context.requestHead.fieldCount)
                }
            }
            precondition(fields > 0, "the head was not taken")
            return fields
        }
    }

    private static let response: Workload = {
        let bytes = Array(answer.utf8)
        return Workload(name: "response-head", bytes: bytes.count) { count in
            let context = HTTPCodecContext()
            var parser = HeadParser()
            var heads = 0
            bytes.withUnsafeBytes { bytes in
                for _ in 0..<count
                where parser.parseResponse(bytes, to: .get, context) == .complete { heads += 1 }
            }
            precondition(heads == count, "the head was not taken")
            return heads
        }
    }()

    private static let short =
        "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
        + "Connection: keep-alive\r\nAccept: */*\r\n\r\n"

    /// What a browser sent in 2010, as parsers have been compared on ever since.
    private static let long =
        "GET /wp-content/uploads/2010/03/hello-kitty-darth-vader-pink.jpg HTTP/1.1\r\n"
        + "Host: www.kittyhell.com\r\n"
        + "User-Agent: Mozilla/5.0 (Macintosh; U; Intel Mac OS X 10.6; ja-JP-mac; rv:1.9.2.3) "
        + "Gecko/20100401 Firefox/3.6.3 Pathtraq/0.9\r\n"
        + "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
        + "Accept-Language: ja,en-us;q=0.7,en;q=0.3\r\n"
        + "Accept-Encoding: gzip,deflate\r\n"
        + "Accept-Charset: Shift_JIS,utf-8;q=0.7,*;q=0.7\r\n"
        + "Keep-Alive: 115\r\nConnection: keep-alive\r\n"
        + "Cookie: wp_ozh_wsa_visits=2; wp_ozh_wsa_visit_lasttime=xxxxxxxxxx; "
        + "__utma=xxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.xxxxxxxxxx.x; "
        + "__utmz=xxxxxxxxx.xxxxxxxxxx.x.x.utmccn=(referral)|utmcsr=reader.livedoor.com|"
        + "utmcct=/reader/|utmcmd=referral\r\n\r\n"

    private static let answer =
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\n"
        + "Content-Type: text/plain\r\nContent-Length: 13\r\nConnection: keep-alive\r\n\r\n"
}
