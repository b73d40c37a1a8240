internal import Glibc

/// What can be seen of this machine without making a sandbox. Reads files only, needs no rights.
struct HostChecks {
    private static let fileBytes = 64 * 1024

    func all() -> [HostCheck] {
        [
            self.kernel(), self.rights(), self.namespaces(), self.seccomp(), self.landlock(), self.controlGroups(), self.python(),
            self.packageIndex(),
        ]
    }

    private func kernel() -> HostCheck {
        HostCheck(name: "kernel", state: .info, detail: self.text("/proc/sys/kernel/osrelease") ?? "unknown")
    }

    private func rights() -> HostCheck {
        geteuid() == 0
            ? HostCheck(name: "root", state: .ok, detail: "'apus serve' can be started here; it drops its privileges by itself")
            : HostCheck(name: "root", state: .limited, detail: "this user is not root: start 'apus serve' with sudo")
    }

    private func namespaces() -> HostCheck {
        let missing = ["pid", "mnt", "ipc", "uts", "net", "cgroup"].filter { access("/proc/self/ns/\($0)", F_OK) != 0 }
        return missing.isEmpty
            ? HostCheck(name: "namespaces", state: .ok, detail: "pid, mount, ipc, uts, network, cgroup")
            : HostCheck(name: "namespaces", state: .missing, detail: "the kernel lacks: \(missing.joined(separator: ", "))")
    }

    private func seccomp() -> HostCheck {
        let actions = self.text("/proc/sys/kernel/seccomp/actions_avail")?.split(separator: " ").map(String.init) ?? []
        return actions.contains("kill_process")
            ? HostCheck(name: "seccomp", state: .ok, detail: "system-call filters")
            : HostCheck(name: "seccomp", state: .missing, detail: "the kernel has no system-call filters (CONFIG_SECCOMP_FILTER)")
    }

    private func landlock() -> HostCheck {
        // Readable by anyone where securityfs is mounted; without it only the attempt tells.
        guard let modules = self.text("/sys/kernel/security/lsm") else {
            return HostCheck(name: "landlock", state: .info, detail: "not visible here; the server reports it in /readyz")
        }
        return modules.split(separator: ",").contains("landlock")
            ? HostCheck(name: "landlock", state: .ok, detail: "file access rules")
            : HostCheck(name: "landlock", state: .limited, detail: "not among this kernel's security modules: \(modules)")
    }

    private func controlGroups() -> HostCheck {
        let mounts = self.text("/proc/self/mounts") ?? ""
        let types = mounts.split(separator: "\n").compactMap { line -> Substring? in
            let fields = line.split(separator: " ")
            return fields.count > 2 ? fields[2] : nil
        }
        switch (types.contains("cgroup2"), types.contains("cgroup")) {
        case (true, true): return HostCheck(name: "cgroups", state: .ok, detail: "version 1 and 2 (hybrid)")
        case (true, false): return HostCheck(name: "cgroups", state: .ok, detail: "version 2")
        case (false, true): return HostCheck(name: "cgroups", state: .ok, detail: "version 1")
        case (false, false): return HostCheck(name: "cgroups", state: .missing, detail: "not mounted: no bounds on memory, CPU and processes")
        }
    }

    private func python() -> HostCheck {
        access("/usr/bin/python3", X_OK) == 0
            ? HostCheck(name: "python3", state: .ok, detail: "/usr/bin/python3")
            : HostCheck(name: "python3", state: .missing, detail: "/usr/bin/python3 is not there: apt install python3 python3-pip")
    }

    private func packageIndex() -> HostCheck {
        HostCheck(
            name: "dependencies", state: .limited,
            detail: "while packages are fetched, the fetching process has this machine's network; it is not yet bound to the package index"
        )
    }

    private func text(_ path: String) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.fileBytes)
        let count = bytes.withUnsafeMutableBytes { read(descriptor, $0.baseAddress, $0.count) }
        guard count >= 0 else { return nil }
        var text = String(decoding: bytes[..<count], as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
