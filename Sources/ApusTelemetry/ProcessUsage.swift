internal import ApusCore
internal import Glibc

/// What this process uses, as the kernel counts it.
public struct ProcessUsage: Sendable, Equatable {
    public var cpuSeconds = 0.0
    public var residentBytes = 0.0
    public var virtualBytes = 0.0
    public var openDescriptors = 0.0
    public var maxDescriptors = 0.0
    public var threads = 0.0

    public init() {}

    /// Reads `/proc`: some microseconds per open descriptor, so not for a loop.
    public static func read() -> ProcessUsage {
        var usage = ProcessUsage()
        var times = rusage()
        if getrusage(CInt(RUSAGE_SELF.rawValue), &times) == 0 {
            usage.cpuSeconds = Self.seconds(times.ru_utime) + Self.seconds(times.ru_stime)
        }
        let page = Double(sysconf(CInt(_SC_PAGESIZE)))
        let memory = Self.text("/proc/self/statm").split(separator: " ").prefix(2).compactMap { Double($0) }
        if memory.count == 2 {
            usage.virtualBytes = memory[0] * page
            usage.residentBytes = memory[1] * page
        }
        usage.openDescriptors = Double(Self.count("/proc/self/fd"))
        usage.threads = Double(Self.count("/proc/self/task"))
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            usage.maxDescriptors = Double(limit.rlim_cur)
        }
        return usage
    }

    private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        return withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer in
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
    }

    private static func count(_ path: String) -> Int {
        guard let folder = opendir(path) else { return 0 }
        defer { closedir(folder) }
        var count = 0
        while let entry = readdir(folder) {
            if entry.pointee.d_name.0 != CChar(UInt8(ascii: ".")) { count += 1 }
        }
        return count
    }
}
