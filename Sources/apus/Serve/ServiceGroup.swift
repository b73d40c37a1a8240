internal import ApusCore
internal import Glibc

/// The control group of a server that systemd's `ExecReload` started: `.control` below the service's own.
///
/// A server cannot stay there. Its nursery makes groups below its own, and the next `ExecReload` would find `.control` to be an inner
/// group, into which no process may go.
enum ServiceGroup {
    private static let control = "/.control"
    private static let prefix = "successor-"
    /// Groups of earlier servers that are looked at.
    private static let entriesMax = 1_024

    /// Moves this process into a group of its own beside `.control`; nothing elsewhere. As root, before the nursery starts.
    /// - Throws: `sandbox_unavailable`.
    static func leaveControl() throws(ApusError) {
        guard let mount = Self.mountPoint(), let own = Self.ownPath(), own.hasSuffix(Self.control) else { return }
        let service = mount + own.dropLast(Self.control.count)
        Self.removeEmpty(in: service)
        let group = "\(service)/\(Self.prefix)\(getpid())"
        guard mkdir(group, 0o755) == 0 || errno == EEXIST, Self.write("\(getpid())", to: "\(group)/cgroup.procs") else {
            throw ApusError(
                .sandboxUnavailable,
                "cannot leave the control group \(own): \(String(cString: strerror(errno))); the unit needs Delegate=yes"
            )
        }
    }

    /// What servers before this one left behind. A group with processes in it stays.
    private static func removeEmpty(in service: String) {
        guard let folder = opendir(service) else { return }
        defer { closedir(folder) }
        for _ in 0..<Self.entriesMax {
            guard let entry = readdir(folder) else { return }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name.hasPrefix(Self.prefix) else { continue }
            rmdir("\(service)/\(name)/apus-server")
            rmdir("\(service)/\(name)")
        }
    }

    /// Our path in the unified hierarchy, from the line `0::PATH`.
    private static func ownPath() -> String? {
        let line = HostChecks().text("/proc/self/cgroup")?.split(separator: "\n").first { $0.hasPrefix("0::") }
        return line.map { String($0.dropFirst(3)) }
    }

    /// Where the unified hierarchy is mounted, seen from its root.
    private static func mountPoint() -> String? {
        for line in HostChecks().text("/proc/self/mountinfo")?.split(separator: "\n") ?? [] {
            let halves = line.split(separator: " ")
            guard let separator = halves.firstIndex(of: "-"), separator + 1 < halves.count, separator > 4 else {
                continue
            }
            if halves[separator + 1] == "cgroup2", halves[3] == "/" { return String(halves[4]) }
        }
        return nil
    }

    private static func write(_ text: String, to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return false }
        defer { close(descriptor) }
        return Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count
    }
}
