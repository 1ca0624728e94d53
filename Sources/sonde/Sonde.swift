import ArgumentParser

@main
struct Sonde: ParsableCommand {
}
