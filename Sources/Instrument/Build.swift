/// This build of the program.
public enum Build {
    /// As `sonde --version` and `sonde_build_info` say it.
    public static let version = "0.1.0"
}
