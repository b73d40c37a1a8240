import ApusCore
import ApusSandbox
import ApusTestSupport
import Glibc

/// What a sandbox could have left on the host.
struct HostState: Equatable {
    /// Processes that belong to the block's uids, but for the auditor, which is there for as long as the nursery is.
    var processes: [String]
    var mounts: Int
    /// Control groups of slots that have a process in them.
    var busyGroups: [String]
    /// Files that an attempt made where it must not: all of them are called so.
    var marks: [String]
    /// What the machine is called and how its kernel is set.
    var kernel: [String]

    static func auditor(of report: HostReport) -> UInt32 { report.uidBase + 2_046 }

    static func now(_ report: HostReport) -> HostState {
        let block = report.uidBase..<report.uidBase + 2_048
        let processes = Folder.names("/proc").filter { name in
            guard Int(name) != nil, let status = TestFiles.read("/proc/\(name)/status") else { return false }
            // Without root the nursery and its zygote have the uid of their sandboxes, and no namespace of processes; the
            // auditor has one, and a name.
            guard report.mode == .root || Self.isNested(status) && !status.hasPrefix("Name:\tapus-auditor\n") else {
                return false
            }
            guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Uid:") }) else { return false }
            return line.split(separator: "\t").dropFirst().first.flatMap { UInt32($0) }.map {
                block.contains($0) && $0 != self.auditor(of: report)
            }
                ?? false
        }
        let mounts = (TestFiles.read("/proc/self/mounts") ?? "").split(separator: "\n").count
        return HostState(
            processes: processes, mounts: mounts,
            busyGroups: self.groups(report).filter { !(TestFiles.read("\($0)/cgroup.procs") ?? "").isEmpty },
            marks: self.marks(), kernel: self.kernel.map { TestFiles.read($0) ?? "" })
    }

    private static func isNested(_ status: String) -> Bool {
        let line = status.split(separator: "\n").first { $0.hasPrefix("NSpid:") }
        return (line?.split(separator: "\t").count ?? 0) > 2
    }

    private static let kernel = [
        "/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/proc/sys/kernel/core_pattern", "/proc/swaps",
        "/proc/sys/kernel/modprobe", "/etc/passwd", "/etc/hosts",
    ]

    /// In all places that every user of the host, or root, usually writes to.
    private static func marks() -> [String] {
        ["/", "/tmp", "/var/tmp", "/usr", "/etc", "/dev", "/dev/shm", "/dev/mqueue", "/run", "/root"].flatMap {
            folder in
            Folder.names(folder).filter { $0.hasPrefix("apus-attack") }.map { "\(folder)/\($0)" }
        }
    }

    /// The directories of this server's slots in every hierarchy.
    static func groups(_ report: HostReport) -> [String] {
        let own = (TestFiles.read("/proc/self/cgroup") ?? "").split(separator: "\n").compactMap {
            $0.split(separator: ":", omittingEmptySubsequences: false).last
        }
        var found: [String] = []
        for hierarchy in [""] + Folder.names("/sys/fs/cgroup") {
            for path in Set(own) {
                let root = "/sys/fs/cgroup/\(hierarchy)/\(path)/apus-\(report.uidBase)"
                found += Folder.names(root).filter { $0.hasPrefix("slot-") }.map { "\(root)/\($0)" }
            }
        }
        return found
    }
}
