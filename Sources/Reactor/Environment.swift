import CLibuv

/// The environment variables of the process.
public enum Environment {
    /// What this machine, or this container, calls itself; nil where the system does not say.
    public static var hostName: String? {
        var size = 256
        var buffer = [CChar](repeating: 0, count: size)
        guard uv_os_gethostname(&buffer, &size) == 0 else { return nil }
        return String(decoding: buffer.prefix(size).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The value of a variable; nil when it is not set.
    public static subscript(name: String) -> String? {
        var size = 1024
        while true {
            var buffer = [CChar](repeating: 0, count: size)
            let code = uv_os_getenv(name, &buffer, &size)
            if code == 0 {
                return String(
                    decoding: buffer.prefix(size).map { UInt8(bitPattern: $0) }, as: UTF8.self)
            }
            // The length it needs is in `size` now.
            guard code == UV_ENOBUFS.rawValue, size > buffer.count else { return nil }
        }
    }
}
