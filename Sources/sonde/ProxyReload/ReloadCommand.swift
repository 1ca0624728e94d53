import ArgumentParser

struct ReloadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Show what a reverse proxy breaks while it is reconfigured.",
        discussion: """
            Start some backends, put the proxy in front of them, and run the bench against the \
            proxy while its routes change. Any backend will do that sets the headers Backend-Id \
            and Source-Port.

              sonde reload backend a 8001 &
              sonde reload backend b 8002 &
              sonde reload bench http://localhost:8080/ --duration 8s --event '2s=nginx -s reload'
            """,
        subcommands: [BenchCommand.self, BackendCommand.self])
}
