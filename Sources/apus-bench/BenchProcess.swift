internal import ApusTestSupport
internal import Glibc

/// Programs that benchmarks start.
enum BenchProcess {
    /// - Parameter output: a file that gets what it prints.
    static func start(_ words: [String], output: String, environment: [String] = []) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
        let arguments = words.map { strdup($0) } + [nil]
        let variables = (["PATH=/usr/bin:/bin:/usr/sbin:/sbin"] + environment).map { strdup($0) } + [nil]
        defer { for pointer in arguments + variables { free(pointer) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, words[0], &actions, nil, arguments, variables)
        guard result == 0 else {
            throw BenchFailure("\(words[0]) cannot be started: \(String(cString: strerror(result)))")
        }
        return process
    }

    /// - Returns: its exit code; -1 when a signal ended it.
    static func run(_ words: [String], output: String, environment: [String] = []) throws -> Int32 {
        let process = try self.start(words, output: output, environment: environment)
        var status: CInt = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F == 0 ? (status >> 8) & 0xFF : -1
    }

    /// Those that run now and whose command line, its words ended by zeros, is asked for. One that ends meanwhile is left out.
    static func all(where isWanted: ([UInt8]) -> Bool) -> [pid_t] {
        Folder.processes.filter { process in (try? BenchFiles.read("/proc/\(process)/cmdline")).map(isWanted) ?? false }
    }

    static func copy(_ file: String, to path: String) throws {
        guard try self.run(["/bin/cp", file, path], output: "/dev/null") == 0 else {
            throw BenchFailure("\(file) cannot be copied")
        }
    }
}
