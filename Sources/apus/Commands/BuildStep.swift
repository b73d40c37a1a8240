internal import ApusCore
internal import ApusManifest
internal import Glibc

/// Runs the `build` of a manifest before its source is bundled: on the machine and with the rights of whoever deploys.
struct BuildStep {
    let function: FunctionManifest
    /// The manifest's folder: the command runs in it.
    let folder: String
    /// The folder that is bundled.
    let source: String

    /// The program that must be in the bundle, relative to the source; nil for a module, and for a command found on PATH.
    var program: String? {
        guard let first = self.function.command.first else { return nil }
        switch self.function.runtime {
        case .python3, .node, .http: return nil
        case .native: return first
        case .exec, .mcp: return first.contains("/") && !first.hasPrefix("/") ? first : nil
        }
    }

    /// Runs the command through `/bin/sh`; all it prints goes to standard error, so that the deploy's own output stays clean.
    /// - Throws: `build_failed` with the exit code.
    func run(_ note: (String) -> Void) throws(ApusError) {
        guard let command = self.function.build else { return }
        note("building \(self.function.name): \(command)")
        let status = try self.shell(command)
        guard status != 0 else { return }
        let how = status & 0x7F == 0 ? "exit code \((status >> 8) & 0xFF)" : "signal \(status & 0x7F)"
        throw ApusError(
            .buildFailed,
            "the build of \(self.function.name) ended with \(how): `\(command)` in '\(self.folder)'; "
                + "its own words are above, --no-build deploys what is there")
    }

    /// - Throws: `bundle_invalid` when the program that the handler names is not there.
    func checkProgram() throws(ApusError) {
        guard let program = self.program else { return }
        let path = "\(self.source)/\(program)"
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            let hint =
                self.function.build == nil
                ? "build it first, or say how under spec.build" : "does spec.build make it there?"
            throw ApusError(
                .bundleInvalid, "'\(path)', which spec.handler of \(self.function.name) names, is no file: \(hint)")
        }
        guard status.st_mode & 0o100 != 0 else {
            throw ApusError(.bundleInvalid, "'\(path)' may not be executed: chmod +x it")
        }
    }

    private func shell(_ command: String) throws(ApusError) -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO)
        let words = ["/bin/sh", "-c", "cd -- \"$0\" && eval \"$1\"", self.folder, command]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let error = posix_spawn(&process, "/bin/sh", &actions, nil, &arguments, environ)
        guard error == 0 else {
            throw ApusError(
                .buildFailed, "/bin/sh cannot be started in '\(self.folder)': \(String(cString: strerror(error)))")
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 {
            guard errno == EINTR else {
                throw ApusError(.buildFailed, "the build cannot be waited for: \(String(cString: strerror(errno)))")
            }
        }
        return status
    }
}
