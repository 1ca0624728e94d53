import HTTPCodec

/// Times the request parser: nanoseconds for one whole head, the best of several rounds.
@main
struct CodecSonde {
    static func main() {
        let short =
            "GET /plaintext HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
            + "Connection: keep-alive\r\nAccept: */*\r\n\r\n"
        let long =
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
        for (name, text) in [("short", short), ("long", long)] {
            let bytes = Array(text.utf8)
            let nanoseconds = time(bytes, count: 500_000)
            print("\(name): \(bytes.count) bytes, \(nanoseconds) ns")
        }
    }

    static func time(_ bytes: [UInt8], count: Int) -> Int {
        let context = HTTPCodecContext()
        let clock = ContinuousClock()
        var best = Duration.seconds(1_000)
        for _ in 0..<7 {
            var parser = HeadParser()
            var parsed = 0
            let elapsed = clock.measure {
                bytes.withUnsafeBytes { bytes in
                    for _ in 0..<count {
                        if parser.parseRequest(bytes, context) == .complete {
                            parsed += Int(context.requestHead.fieldCount)
                        }
                    }
                }
            }
            precondition(parsed > 0, "the head was not taken")
            best = min(best, elapsed)
        }
        return Int(best.components.attoseconds / 1_000_000_000) / count
            + Int(best.components.seconds) * 1_000_000_000 / count
    }
}
