import Foundation
import Reactor

/// Whether a server program ended because it was asked to (haproxy says so with 143).
public func isEnded(_ outcome: Program.Outcome) -> Bool {
    [0, 143, -SIGTERM].contains(outcome.code)
}

extension EventLoop {
    /// Goes on as soon as `program` listens at `address`; not at all when it ends before.
    public func when(
        _ program: Running, listensAt address: SocketAddress, _ body: @escaping () -> Void
    ) {
        guard program.isRunning else { return }
        let probe = TCPConnection(loop: self)
        probe.connect(to: address) { [self] probe, result in
            if case .success = result {
                probe.close()
                return body()
            }
            var timer: Reactor.Timer?
            timer = Reactor.Timer(loop: self) { [self] in
                timer?.close()
                timer = nil
                when(program, listensAt: address, body)
            }
            timer?.schedule(after: .milliseconds(20))
        }
    }
}

/// What every configuration of nginx needs.
public enum NGINX {
    /// A configuration that writes nowhere but into `folder`, in the foreground, as one process.
    public static func configuration(_ folder: Folder, _ http: String) -> String {
        """
        daemon off;
        master_process off;
        pid \(folder.path)/nginx.pid;
        error_log stderr warn;
        events { worker_connections 128; }
        http {
            access_log off;
            client_body_temp_path \(folder.path)/body;
            proxy_temp_path \(folder.path)/proxy;
            fastcgi_temp_path \(folder.path)/fastcgi;
            uwsgi_temp_path \(folder.path)/uwsgi;
            scgi_temp_path \(folder.path)/scgi;
            \(http)
        }

        """
    }
}
