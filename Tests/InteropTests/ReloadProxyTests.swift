import Foundation
import Pacing
import ProxyReload
import Reactor
import Testing

/// The reload bench before real proxies, each really reconfigured while requests are under way.
@Suite(.serialized) struct ReloadProxyTests {
    private let event = Duration.milliseconds(500)

    @Test(
        "nginx -s reload: new workers take over, old connections end",
        .enabled(if: Program.isInstalled("nginx"), "nginx is not installed"))
    func nginx() throws {
        let folder = try Folder()
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            try site.runReloadedNginx()
        }
        let site = try #require(held)
        let report = try checkTruth(site)
        try checkReplacement(report)
        // Every old connection goes with its worker.
        #expect(report.timeline.total.frontChanges >= 10)
        // Requests that crossed the end of their connection: a library would have repeated them.
        let races: [RequestOutcome] = [.reusedReset, .reusedClosed]
        #expect(report.timeline.total.failures.keys.allSatisfy { races.contains($0) })
        #expect(report.timeline.total.failureCount <= 20, "each client's connection goes once")
    }

    private func configuration(haproxy site: ReloadSite, _ indices: [Int]) -> String {
        let names = ["a", "b", "c"]
        let servers = indices.map { "    server \(names[$0]) \(site.address($0))\n" }.joined()
        return """
            global
                stats socket \(site.folder.path)/admin.sock level admin
            defaults
                mode http
                timeout connect 5s
                timeout client 20s
                timeout server 20s
            frontend front
                bind 127.0.0.1:\(site.port)
                default_backend back
            backend back
                balance roundrobin
            \(servers)

            """
    }

    @Test(
        "haproxy's runtime API: a server is added and another taken out without a trace in front",
        .enabled(
            if: Program.isInstalled("haproxy") && Program.isInstalled("python3"),
            "haproxy or python3 is not installed"))
    func haproxyRuntime() throws {
        let folder = try Folder()
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            let file = try folder.file(
                "haproxy.cfg", configuration(haproxy: site, [0, 1]))
            let script = try folder.file(
                "admin.py",
                """
                import socket, sys
                for command in sys.argv[2:]:
                    connection = socket.socket(socket.AF_UNIX)
                    connection.connect(sys.argv[1])
                    connection.sendall(command.encode() + b"\\n")
                    print(connection.recv(65536).decode().strip())

                """)
            try site.run("haproxy", ["-db", "-f", file]) { [event] site, bench in
                let commands = [
                    "add server back/c \(site.address(2))", "enable server back/c",
                    "disable server back/a",
                ]
                let words = commands.map { "'\($0)'" }.joined(separator: " ")
                bench.commands = [
                    ScheduledCommand(
                        after: event,
                        command: "python3 \(script) \(folder.path)/admin.sock \(words)")
                ]
            }
        }
        let report = try checkTruth(try #require(held))
        try checkReplacement(report)
        #expect(report.timeline.total.failureCount == 0)
        #expect(report.timeline.total.frontChanges == 0)
    }

    @Test(
        "haproxy reloaded by USR2: the old process finishes, the new one takes over",
        .enabled(if: Program.isInstalled("haproxy"), "haproxy is not installed"))
    func haproxyReload() throws {
        let folder = try Folder()
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            let file = try folder.file(
                "haproxy.cfg", configuration(haproxy: site, [0, 1]))
            let next = try folder.file("next.cfg", configuration(haproxy: site, [1, 2]))
            try site.run("haproxy", ["-W", "-f", file]) { [event] site, bench in
                bench.commands = [
                    ScheduledCommand(
                        after: event,
                        command: "mv \(next) \(file) && kill -USR2 \(site.proxyIdentifier)")
                ]
            }
        }
        let report = try checkTruth(try #require(held))
        try checkReplacement(report)
        #expect(report.timeline.total.frontChanges >= 10)
        #expect(report.timeline.total.failureCount <= 20, "each client's connection goes once")
    }

    private func endpoints(_ site: ReloadSite, _ indices: [Int]) -> String {
        let endpoints = indices.map { index in
            let port = site.backends[index].address?.port ?? 0
            return """
                    - endpoint:
                        address: {socket_address: {address: 127.0.0.1, port_value: \(port)}}

                """
        }
        return """
            resources:
            - "@type": type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment
              cluster_name: site
              endpoints:
              - lb_endpoints:
            \(endpoints.joined())
            """
    }

    private func configuration(envoy site: ReloadSite) -> String {
        """
        node: {id: test, cluster: test}
        static_resources:
          listeners:
          - address: {socket_address: {address: 127.0.0.1, port_value: \(site.port)}}
            filter_chains:
            - filters:
              - name: http
                typed_config:
                  "@type": type.googleapis.com/envoy.extensions.filters.network\
        .http_connection_manager.v3.HttpConnectionManager
                  stat_prefix: front
                  route_config:
                    virtual_hosts:
                    - name: all
                      domains: ["*"]
                      routes: [{match: {prefix: "/"}, route: {cluster: site}}]
                  http_filters:
                  - name: router
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.filters.http\
        .router.v3.Router
          clusters:
          - name: site
            type: EDS
            eds_cluster_config:
              eds_config:
                path_config_source: {path: \(site.folder.path)/eds.yaml}

        """
    }

    @Test(
        "envoy, endpoints from a file: a rename puts others into place, nobody notices in front",
        .enabled(if: Program.isInstalled("envoy"), "envoy is not installed (make test-needs)"))
    func envoy() throws {
        let folder = try Folder()
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            let file = try folder.file("envoy.yaml", configuration(envoy: site))
            try folder.file("eds.yaml", endpoints(site, [0, 1]))
            let next = try folder.file("next.yaml", endpoints(site, [1, 2]))
            let arguments = [
                "-c", file, "--use-dynamic-base-id", "--concurrency", "1", "-l", "error",
            ]
            try site.run("envoy", arguments) { [event] _, bench in
                bench.commands = [
                    ScheduledCommand(after: event, command: "mv \(next) \(folder.path)/eds.yaml")
                ]
            }
        }
        let report = try checkTruth(try #require(held))
        try checkReplacement(report)
        #expect(report.timeline.total.failureCount == 0)
        #expect(report.timeline.total.frontChanges == 0)
    }

    @Test(
        "caddy's admin API: a PATCH replaces the upstreams",
        .enabled(
            if: Program.isInstalled("caddy") && Program.isInstalled("curl"),
            "caddy (make test-needs) or curl is not installed"))
    func caddy() throws {
        let folder = try Folder()
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            let admin = try freePort(loop)
            func upstreams(_ indices: [Int]) -> String {
                "["
                    + indices.map { "{\"dial\": \"\(site.address($0))\"}" }
                    .joined(separator: ", ") + "]"
            }
            let file = try folder.file(
                "caddy.json",
                """
                {"admin": {"listen": "127.0.0.1:\(admin)", "config": {"persist": false}},
                 "logging": {"logs": {"default": {"level": "ERROR"}}},
                 "apps": {"http": {"servers": {"front": {
                    "listen": ["127.0.0.1:\(site.port)"], "automatic_https": {"disable": true},
                    "routes": [{"handle": [{
                        "@id": "proxy", "handler": "reverse_proxy",
                        "load_balancing": {"selection_policy": {"policy": "round_robin"}},
                        "upstreams": \(upstreams([0, 1]))}]}]}}}}}

                """)
            try site.run("caddy", ["run", "--config", file]) { [event] _, bench in
                let url = "http://127.0.0.1:\(admin)/id/proxy/upstreams"
                bench.commands = [
                    ScheduledCommand(
                        after: event,
                        command: "curl -sSf -X PATCH -H 'Content-Type: application/json' "
                            + "-d '\(upstreams([1, 2]))' \(url)")
                ]
            }
        }
        let report = try checkTruth(try #require(held))
        try checkReplacement(report)
        #expect(report.timeline.total.frontChanges <= 30)
    }
}

/// What users would feel: a proxy that stands still for a second.
@Suite(.serialized) struct ReloadStallTests {
    private func bench(rate: Double?) throws -> BenchReport {
        let folder = try Folder()
        var held: ReloadSite?
        try withLoop { loop in
            let site = try ReloadSite(loop, folder)
            held = site
            let file = try folder.file(
                "nginx.conf",
                NGINX.configuration(
                    folder,
                    """
                    server {
                        listen 127.0.0.1:\(site.port);
                        keepalive_requests 100000000;
                        location / { return 200 "hello"; }
                    }
                    """))
            let arguments = ["-c", file, "-p", folder.path, "-e", "stderr"]
            try site.run("nginx", arguments) { site, bench in
                bench.rate = rate
                bench.duration = .seconds(2)
                let pid = site.proxyIdentifier
                bench.commands = [
                    ScheduledCommand(
                        after: .milliseconds(500),
                        command: "kill -STOP \(pid); sleep 1; kill -CONT \(pid)")
                ]
            }
        }
        let site = try #require(held)
        let report = try #require(site.report)
        #expect(site.recount.first == report.aggregateLine)
        return report
    }

    @Test(
        "in the open loop p99 shows the whole stall; the closed loop cannot, and says so",
        .enabled(if: Program.isInstalled("nginx"), "nginx is not installed"))
    func stall() throws {
        let open = try bench(rate: 400)
        let total = open.timeline.total
        #expect(total.failureCount == 0, "\(open.text)")
        #expect(total.requests + open.unsent == 800)
        // 400 of 800 were due while it stood still, evenly spread over the second: so of all
        // requests a quarter waited half of it, and the hundredth part nearly all of it.
        let p75 = try #require(total.latency.percentile(75))
        let p99 = try #require(total.latency.percentile(99))
        #expect(p75 >= .milliseconds(450) && p99 >= .milliseconds(950), "\(open.text)")
        #expect(!open.text.contains("coordinated omission"))

        let closed = try bench(rate: nil)
        let latency = closed.timeline.total.latency
        #expect(latency.count(above: .milliseconds(500)) == 10, "once for each client")
        #expect(try #require(latency.percentile(99)) < .milliseconds(500), "\(closed.text)")
        #expect(closed.text.contains("coordinated omission"))
    }
}
