import ProxyReload
import Testing

extension ReloadSite {
    /// nginx before a and b; half a second into the bench it is reloaded with b and c.
    func runReloadedNginx() throws {
        let log = "\(folder.path)/access.log"
        let file = try folder.file("nginx.conf", nginxConfiguration(log: log))
        try folder.file("upstream.conf", nginxServers([0, 1]))
        let next = try folder.file("next.conf", nginxServers([1, 2]))
        let program = try #require(Program.path("nginx"))
        let arguments = ["-c", file, "-p", folder.path, "-e", "stderr"]
        try run("nginx", arguments, accessLog: log) { site, bench in
            let reload =
                "mv \(next) \(site.folder.path)/upstream.conf && "
                + "\(program) \(arguments.joined(separator: " ")) -s reload"
            bench.commands = [ScheduledCommand(after: .milliseconds(500), command: reload)]
        }
    }

    private func nginxConfiguration(log: String) -> String {
        let folder = self.folder.path
        return """
            daemon off;
            user root;
            worker_processes 1;
            pid \(folder)/nginx.pid;
            error_log stderr error;
            events { worker_connections 256; }
            http {
                log_format ports '$remote_port $status';
                access_log \(log) ports;
                client_body_temp_path \(folder)/body;
                proxy_temp_path \(folder)/proxy;
                fastcgi_temp_path \(folder)/fastcgi;
                uwsgi_temp_path \(folder)/uwsgi;
                scgi_temp_path \(folder)/scgi;
                keepalive_requests 100000000;
                upstream site {
                    include \(folder)/upstream.conf;
                    keepalive 32;
                    keepalive_requests 100000000;
                }
                server {
                    listen 127.0.0.1:\(port);
                    location / {
                        proxy_pass http://site;
                        proxy_http_version 1.1;
                        proxy_set_header Connection "";
                    }
                }
            }

            """
    }

    private func nginxServers(_ indices: [Int]) -> String {
        indices.map { "server \(address($0));" }.joined(separator: " ")
    }
}
