import Foundation
import HTTP
import Testing

/// Clients written in Python and JavaScript, and the load generator.
@Suite(.serialized) struct HTTPScriptTests {
    private static let python = """
        import http.client, sys
        host, port = sys.argv[1].rsplit(":", 1)
        c = http.client.HTTPConnection(host, int(port), timeout=20)
        for i in range(3):
            c.request("GET", "/hello")
            r = c.getresponse()
            assert (r.status, r.read()) == (200, b"hello\\n"), r.status
        c.request("HEAD", "/hello")
        r = c.getresponse()
        assert (r.status, r.read(), r.getheader("Content-Length")) == (200, b"", "6")
        body = bytes(range(256)) * 1000
        c.request("POST", "/echo", body)
        assert c.getresponse().read() == body
        pieces = [b"a" * 10, b"b" * 70000, b"c"]
        c.request("POST", "/echo", iter(pieces), encode_chunked=True,
                  headers={"Transfer-Encoding": "chunked"})
        assert c.getresponse().read() == b"".join(pieces)
        c.request("GET", "/chunks")
        assert c.getresponse().read().count(b"\\n") == 100
        c.request("PUT", "/small", b"x" * 11)
        r = c.getresponse()
        assert r.status == 413, r.status
        print("fine")
        """

    @Test(
        "python's http.client: keep-alive, HEAD, large and chunked uploads",
        .enabled(if: Program.isInstalled("python3"), "python3 is not installed"))
    func pythonClient() throws {
        let folder = try Folder()
        let script = try folder.file("client.py", Self.python)
        try serve(to: "python3") {
            [script, $0]
        } check: { outcome, server in
            #expect(outcome.output == "fine\n", "\(outcome.errors)")
            #expect(server.requestCount == 8)
        }
    }

    private static let node = """
        const http = require("http");
        const [host, port] = process.argv[2].split(":");
        const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
        const ask = (method, path, body, chunked) => new Promise((resolve, reject) => {
          const req = http.request({ host, port, method, path, agent, timeout: 20000 }, (res) => {
            const parts = [];
            res.on("data", (d) => parts.push(d));
            res.on("end", () => resolve({ status: res.statusCode, reused: req.reusedSocket,
                                          text: Buffer.concat(parts).toString() }));
          });
          req.on("error", reject);
          if (chunked) {
            req.setHeader("Trailer", "X-Sum");
            for (const piece of body.match(/.{1,1000}/g)) req.write(piece);
            req.addTrailers({ "X-Sum": "1" });
            req.end();
          } else req.end(body);
        });
        (async () => {
          const all = await Promise.all([...Array(20)].map(() => ask("GET", "/hello")));
          if (!all.every((r) => r.status === 200 && r.text === "hello\\n")) throw "GET";
          if (!(await ask("GET", "/hello")).reused) throw "no keep-alive";
          const body = "0123456789".repeat(30000);
          if ((await ask("POST", "/echo", body)).text !== body) throw "POST";
          if ((await ask("POST", "/echo", body, true)).text !== body) throw "chunked, trailers";
          if ((await ask("GET", "/chunks")).text.split("\\n").length !== 101) throw "chunks";
          if ((await ask("GET", "/nothing")).status !== 404) throw "404";
          agent.destroy();
          console.log("fine");
        })().catch((e) => { console.error(e); process.exit(1); });
        """

    @Test(
        "node's http with a keep-alive agent: many at once, trailers in an upload",
        .enabled(if: Program.isInstalled("node"), "node is not installed"))
    func nodeClient() throws {
        let folder = try Folder()
        let script = try folder.file("client.js", Self.node)
        try serve(to: "node") {
            [script, $0]
        } check: { outcome, server in
            #expect(outcome.output == "fine\n", "\(outcome.errors)")
            #expect(server.requestCount == 25)
        }
    }

    @Test(
        "wrk loads the server without an error",
        .enabled(if: Program.isInstalled("wrk"), "wrk is not installed"))
    func load() throws {
        try serve(to: "wrk") {
            ["-t1", "-c32", "-d1s", "http://\($0)/hello"]
        } check: { outcome, server in
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(!outcome.output.contains("Socket errors"), "\(outcome.output)")
            #expect(!outcome.output.contains("Non-2xx"), "\(outcome.output)")
            #expect(server.requestCount > 100)
        }
    }

    @Test(
        "wrk pipelines sixteen requests at a time without an error",
        .enabled(if: Program.isInstalled("wrk"), "wrk is not installed"))
    func pipelinedLoad() throws {
        let folder = try Folder()
        let script = try folder.file(
            "pipeline.lua",
            """
            init = function(args)
              local r = {}
              for i = 1, 16 do r[i] = wrk.format(nil, "/hello") end
              req = table.concat(r)
            end
            request = function() return req end
            """)
        try serve(to: "wrk") {
            ["-t1", "-c8", "-d1s", "-s", script, "http://\($0)/hello"]
        } check: { outcome, server in
            #expect(outcome.code == 0, "\(outcome.errors)")
            #expect(!outcome.output.contains("Socket errors"), "\(outcome.output)")
            #expect(!outcome.output.contains("Non-2xx"), "\(outcome.output)")
            #expect(server.requestCount > 100)
        }
    }
}
