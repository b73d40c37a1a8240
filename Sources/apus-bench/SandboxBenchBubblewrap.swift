internal import Glibc

/// The usual way to start Python in a sandbox for one call.
enum SandboxBenchBubblewrap {
    private static let program = "/usr/bin/bwrap"
    static var isInstalled: Bool { access(self.program, X_OK) == 0 }

    /// Microseconds from the decision to start to the end of a Python that does nothing.
    static func run() throws -> Double {
        let words = [
            self.program, "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/lib",
            "/lib",
            "--symlink", "usr/lib64", "/lib64", "--symlink", "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev",
            "--tmpfs",
            "/tmp", "/usr/bin/python3", "-I", "-S", "-c", "pass",
        ]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let start = nanoseconds()
        var process: pid_t = 0
        guard posix_spawn(&process, self.program, nil, nil, &arguments, environ) == 0 else {
            throw BenchFailure("\(self.program) cannot be started")
        }
        var status: CInt = 0
        guard waitpid(process, &status, 0) == process, status == 0 else {
            throw BenchFailure("\(self.program) failed with status \(status)")
        }
        return Double(nanoseconds() - start) / 1_000
    }
}
