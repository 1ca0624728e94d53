import Pacing
import Reactor
import Telemetry
import Testing

@testable import NetworkPolicy

@Suite struct ProxyServiceTests {
    private let list = #"[ {"addresses":["10.0.0.2"],"ports":[8080],"netpol":"a","new":1.50} ]"#

    @Test("each client gets its own bytes, and its results come back as it wrote them")
    func roundTrip() throws {
        let bench = try ProxyBench { $0.logsResults = true }
        let result =
            #"[ {"address":"10.0.0.2","port":8080,"connectionidx":3,"npname":"\u003ca","#
            + #""timestamp":"2026-11-21T04:14:58.5Z","extra":{"x":1.0}} ]"#
        let first = try bench.client(.healthy(results: result + "\n"))
        let second = try bench.client(.healthy(results: "null"))
        let third = try bench.client(.healthy(results: " [] "))
        #expect(!bench.isTrue("/checkConnectionsStatus"))
        bench.initiate([list, "null", "[]"])
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        #expect(first.lists == [list])
        #expect(second.lists == ["null"])
        #expect(third.lists == ["[]"])
        #expect(!bench.isTrue("/checkStopStatus"))
        #expect(bench.call("GET", "/results").body == "{}\n")
        bench.collect()
        let answer = bench.call("GET", "/results")
        #expect(
            answer.body
                == "{\"\(first.address)\":\(result),\"\(second.address)\":null,"
                + "\"\(third.address)\":[]}\n")
        #expect(answer.head.contains("Content-Length: \(answer.body.utf8.count)"))
        #expect(answer.head.contains("Content-Type: application/json"))
        #expect(bench.log.has("Server started on 127.0.0.1:"))
        #expect(bench.log.has("Number of connections got from kube-burner 3"))
        #expect(bench.log.has("Connections sent to http://\(first.address)/check successfully"))
        #expect(
            bench.log.has(
                "Address: 10.0.0.2, Port: 8080, IngressIdx: 3, NpName: <a "
                    + "Timestamp: 2026-11-21T04:14:58.5Z"))
        bench.end()
    }

    @Test("a refused, a silent, a failing and a garbage client are given up, the others served")
    func badClients() throws {
        let bench = try ProxyBench {
            $0.requestTimeout = .milliseconds(40)
            $0.giveUp = .milliseconds(200)
            $0.parallel = 3  // so that the bad ones could be in the way
        }
        let refused = try bench.client(.refused)
        let silent = try bench.client(.silent)
        let failing = try bench.client(.status(500))
        let garbage = try bench.client(.garbage)
        let healthy = try (0..<10).map { try bench.client(.healthy(results: "[\($0)]")) }
        bench.initiate(Array(repeating: list, count: 14))
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        #expect(healthy.allSatisfy { $0.lists == [list] })
        #expect(failing.requests.count > 1)
        #expect(silent.accepted > 1)
        let status = bench.call("GET", "/status").body
        #expect(status.contains(#""phase":"delivered""#))
        #expect(status.contains(#""deliver":{"done":10,"givenUp":4,"#))
        #expect(status.contains("connection refused"))
        #expect(status.contains("no answer within 40ms"))
        #expect(status.contains("answered 500"))
        for client in [refused, silent, failing, garbage] {
            #expect(bench.log.has("Client \(client.address) given up: "))
        }
        bench.collect()
        let members = zip(healthy, 0..<10).map { "\"\($0.address)\":[\($1)]" }
        #expect(
            bench.call("GET", "/results").body == "{\(members.joined(separator: ","))}\n")
        let metrics = bench.call("GET", "/metrics").body
        #expect(
            metrics.contains(#"sonde_netpol_proxy_clients{step="collect",state="given_up"} 4"#))
        #expect(metrics.contains(#"sonde_netpol_proxy_clients{step="collect",state="done"} 10"#))
        for step in ["deliver", "collect"] {
            let requests = #"sonde_netpol_proxy_requests_total{step="\#(step)","#
            #expect(metrics.contains(requests + "outcome=\"succeeded\"} 10\n"))
            #expect(!metrics.contains(requests + "outcome=\"failed\"} 0\n"))
            #expect(metrics.contains("sonde_netpol_proxy_given_up_total{step=\"\(step)\"} 4\n"))
        }
        // Collecting again, or a new run, does not take back what was counted.
        bench.collect()
        bench.initiate(Array(repeating: list, count: 14))
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        let later = bench.call("GET", "/metrics").body
        #expect(later.contains("sonde_netpol_proxy_given_up_total{step=\"deliver\"} 8\n"))
        #expect(later.contains("sonde_netpol_proxy_given_up_total{step=\"collect\"} 8\n"))
        #expect(
            later.contains(
                #"sonde_netpol_proxy_requests_total{step="collect",outcome="succeeded"} 20"#))
        bench.end()
    }

    @Test(
        "results that are no JSON array are asked for again, and never spliced",
        arguments: [
            "", "[", "[}", "{}", "\"x\"", "[]]", "[1,]", "<html>", "[\"\u{1}\"]",
            "[" + String(repeating: "1,", count: 200) + "1]",
        ])
    func unacceptableResults(_ results: String) throws {
        let bench = try ProxyBench {
            $0.giveUp = .milliseconds(60)
            $0.maxResultBytes = 300
        }
        let bad = try bench.client(.healthy(results: results))
        let good = try bench.client(.healthy(results: "[1]"))
        bench.initiate([list, list])
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        bench.collect()
        #expect(bad.requests.filter { $0 == "GET /results" }.count > 1)
        #expect(bench.call("GET", "/results").body == "{\"\(good.address)\":[1]}\n")
        bench.end()
    }

    @Test("a client that comes up late still gets its list, and its results are collected")
    func recovers() throws {
        let bench = try ProxyBench { $0.giveUp = .seconds(15) }
        let client = try bench.client(.status(503))
        bench.initiate([list])
        bench.run { client.requests.count >= 3 }
        #expect(!bench.isTrue("/checkConnectionsStatus"))
        client.behaviour = .healthy(results: "[7]")
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        #expect(bench.call("GET", "/status").body.contains(#""failures":[]"#))
        client.behaviour = .status(503)
        #expect(bench.call("GET", "/stop").status == 200)
        bench.run { client.requests.filter { $0 == "GET /results" }.count >= 3 }
        client.behaviour = .healthy(results: "[8]")
        bench.run { bench.isTrue("/checkStopStatus") }
        #expect(bench.call("GET", "/results").body == "{\"\(client.address)\":[8]}\n")
        bench.end()
    }

    @Test("a second document replaces the first, with what was under way and what was found")
    func replaced() throws {
        let bench = try ProxyBench()
        let silent = try bench.client(.silent)
        let healthy = try bench.client(.healthy(results: "[1]"))
        #expect(bench.call("POST", "/initiate", "{\"\(healthy.address)\":[]}").status == 200)
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        bench.collect()
        #expect(bench.call("GET", "/results").body == "{\"\(healthy.address)\":[1]}\n")

        #expect(bench.call("POST", "/initiate", "{\"\(silent.address)\":[]}").status == 200)
        #expect(!bench.isTrue("/checkConnectionsStatus"))
        #expect(!bench.isTrue("/checkStopStatus"))
        #expect(bench.call("GET", "/results").body == "{}\n")
        bench.run { silent.accepted == 1 }

        #expect(
            bench.call("POST", "/initiate", "{\"\(healthy.address)\":[{}]}").status == 200)
        bench.run { silent.abandoned == 1 }
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        #expect(healthy.lists == ["[]", "[{}]"])
        #expect(bench.call("GET", "/status").body.contains(#""runs":3"#))
        bench.end()
    }

    @Test("stopping before all lists are delivered gives the rest up and collects from the others")
    func stoppedEarly() throws {
        let bench = try ProxyBench { $0.requestTimeout = .milliseconds(50) }
        let silent = try bench.client(.silent)
        let healthy = try bench.client(.healthy(results: "[1]"))
        bench.initiate([list, list])
        bench.run { healthy.lists.count == 1 && silent.accepted == 1 }
        bench.collect()
        #expect(bench.isTrue("/checkConnectionsStatus"))
        #expect(bench.call("GET", "/results").body == "{\"\(healthy.address)\":[1]}\n")
        bench.end()
    }

    @Test("stopping a second time collects anew, and what was found stays if nothing new is")
    func stoppedTwice() throws {
        let bench = try ProxyBench { $0.giveUp = .milliseconds(50) }
        let changing = try bench.client(.healthy(results: "[1]"))
        let failing = try bench.client(.healthy(results: "[2]"))
        bench.initiate([list, list])
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        bench.collect()
        changing.behaviour = .healthy(results: "[3]")
        failing.behaviour = .status(500)
        bench.collect()
        #expect(
            bench.call("GET", "/results").body
                == "{\"\(changing.address)\":[3],\"\(failing.address)\":[2]}\n")
        bench.end()
    }

    @Test("large results arrive whole at a reader that takes its time, and nothing waits for it")
    func large() throws {
        let bench = try ProxyBench()
        let results = (0..<8).map { index in
            "[\"\(index)" + String(repeating: "x", count: 2 << 20) + "\"]"
        }
        for result in results { _ = try bench.client(.healthy(results: result)) }
        bench.initiate(Array(repeating: "[]", count: results.count))
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        bench.collect()
        // More than the kernel holds: the proxy has to stop in the middle.
        let answer = bench.call(
            "GET", "/results",
            beforeReading: {
                for _ in 0..<3 { #expect(bench.call("GET", "/healthz").status == 200) }
            })
        let members = zip(bench.clients, results).map { "\"\($0.address)\":\($1)" }
        let isWhole = answer.body == "{\(members.joined(separator: ","))}\n"
        #expect(isWhole)
        bench.end()
    }

    @Test("a document that names nobody is delivered and collected at once")
    func nobody() throws {
        let bench = try ProxyBench()
        bench.initiate([])
        #expect(bench.isTrue("/checkConnectionsStatus"))
        bench.collect()
        #expect(bench.call("GET", "/results").body == "{}\n")
        bench.end()
    }

    @Test("a pod without an address is passed over and told of, the others are served")
    func skipped() throws {
        let bench = try ProxyBench()
        let client = try bench.client(.healthy(results: "[1]"))
        let list = #"[{"addresses":["","10.0.0.2"],"ports":[8080],"netpol":"a"}]"#
        let document = #"{"":\#(list),"\#(client.address)":\#(list)}"#
        #expect(bench.call("POST", "/initiate", document).status == 200)
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        #expect(client.lists == [list])
        #expect(bench.log.has(#"Skipped client "": "#))
        #expect(
            bench.log.has(#"Skipped address "" (client \#(client.address), entry 0, policy "a"): "#)
        )
        let status = bench.call("GET", "/status").body
        #expect(status.contains(#""clients":1,"skipped":2,"skippedEntries":[{"kind":"client","#))
        #expect(
            status.contains(
                #"{"kind":"address","value":"","client":"\#(client.address)","connectionidx":0,"#
                    + #""npname":"a"}]"#))
        bench.collect()
        #expect(bench.call("GET", "/results").body == "{\"\(client.address)\":[1]}\n")
        // Another run adds to what was counted, and has its own list.
        bench.initiate([list])
        bench.run { bench.isTrue("/checkConnectionsStatus") }
        let metrics = bench.call("GET", "/metrics").body
        for sample in ["client\"} 1\n", "address\"} 2\n", "port\"} 0\n"] {
            #expect(
                metrics.contains("sonde_netpol_skipped_entries_total{kind=\"" + sample), "\(sample)"
            )
        }
        #expect(bench.call("GET", "/status").body.contains(#""skipped":1,"#))
        bench.end()
    }

    @Test("every document that is refused is logged with who sent it and why")
    func refusedIsLogged() throws {
        let bench = try ProxyBench { $0.maxBodyBytes = 1000 }
        let long = String(repeating: " ", count: 1001)
        #expect(bench.call("POST", "/initiate", long).status == 413)
        #expect(bench.log.has("Refused content from 127.0.0.1:"))
        #expect(bench.log.has(" with 413: more than 1000 bytes are not taken"))
        #expect(bench.call("POST", "/initiate", #"{"10.0.0.1":[1]}"#).status == 400)
        #expect(bench.call("POST", "/initiate", #"{"10.0.0.1":["#).status == 400)
        let lines = bench.log.lines.filter {
            $0.hasPrefix("Refused POST /initiate from 127.0.0.1:")
        }
        #expect(lines.count == 2)
        #expect(
            lines.first?.hasSuffix(
                #", 16 bytes: byte 13 ($["10.0.0.1"][0]): expected an object, found a number; "#
                    + "no run was started") == true, "\(lines)")
        bench.end()
    }

    @Test("wrong requests are told what is wrong and change nothing")
    func wrongRequests() throws {
        let bench = try ProxyBench { $0.maxBodyBytes = 1000 }
        #expect(bench.call("POST", "/stop").status == 409)
        let bad = bench.call("POST", "/initiate", #"{"10.0.0.1":[{"ports":["80"]}]}"#)
        #expect(bad.status == 400)
        #expect(
            bad.body == #"initiate document: byte 23 ($["10.0.0.1"][0].ports[0]): "#
                + "expected a port from 1 to 65535, found \"80\"\n")
        #expect(bench.call("POST", "/initiate", "").status == 400)
        let long = String(repeating: " ", count: 1001)
        #expect(bench.call("POST", "/initiate", long).status == 413)
        let wrongMethod = bench.call("GET", "/initiate")
        #expect(wrongMethod.status == 405)
        #expect(wrongMethod.head.contains("Allow: POST"))
        #expect(bench.call("POST", "/results").head.contains("Allow: GET, HEAD"))
        #expect(bench.call("DELETE", "/stop").head.contains("Allow: GET, POST, HEAD"))
        #expect(bench.call("GET", "/nothing").status == 404)
        #expect(bench.call("POST", "/stop").status == 409)
        #expect(bench.call("GET", "/status").body.contains(#""phase":"idle""#))
        for path in ["/healthz", "/readyz"] { #expect(bench.call("GET", path).status == 200) }
        #expect(bench.call("GET", "/metrics").body.contains("sonde_netpol_runs_total 0"))
        bench.end()
    }

    @Test("draining in the middle of a run ends it and gives everything back")
    func drained() throws {
        let bench = try ProxyBench()
        let silent = try bench.client(.silent)
        bench.initiate([list])
        bench.run { silent.accepted == 1 }
        #expect(silent.abandoned == 0)
        bench.end()
        #expect(silent.accepted == 1 && silent.lists.isEmpty)
    }
}
