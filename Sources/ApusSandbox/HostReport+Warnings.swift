internal import ApusCore

extension HostReport {
    /// What a server without root says of itself at its start, in words that operators may search their logs for.
    public var warnings: [String] {
        guard self.mode == .rootless else { return [] }
        var warnings: [String] = []
        if self.missing.contains(.memory) || self.missing.contains(.processes) {
            let user =
                self.missing.contains(.ownUser)
                ? "uid \(self.serverUser) (shared by all workers)"
                : "the uid of each worker (from \(self.uidBase + 1) on)"
            warnings.append(
                "isolation=degraded: no writable cgroup; memory limited by RLIMIT_DATA per process only, "
                    + "fork bomb limited by RLIMIT_NPROC for \(user)")
        }
        if self.missing.contains(.ownUser) { warnings.append("single-uid: \(self.shortfall)") }
        if !self.hasProc {
            warnings.append("no /proc in sandboxes: this host covers parts of its own, so that no other can be mounted")
        }
        return warnings
    }
}
