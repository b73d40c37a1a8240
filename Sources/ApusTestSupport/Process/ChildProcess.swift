internal import ApusCore
public import Glibc

/// A process that a test started, with its output in files. Killed when the value goes away.
public final class ChildProcess {
    public let pid: pid_t
    public let outputPath: String
    public let errorPath: String
    private var status: Int32?

    /// - Parameters:
    ///   - environment: replaces the inherited one when given.
    ///   - input: what the process reads on its standard input; nothing by default.
    public init(
        _ executable: String,
        _ arguments: [String],
        environment: [String: String]? = nil,
        input: [UInt8] = [],
        in directory: String
    ) throws {
        let tag = "\(getpid())-\(UInt64.random(in: 0 ..< .max))"
        self.outputPath = "\(directory)/\(tag).out"
        self.errorPath = "\(directory)/\(tag).err"
        let inputPath = "\(directory)/\(tag).in"
        try writeFile(inputPath, input)

        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, inputPath, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, self.outputPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, self.errorPath, O_WRONLY | O_CREAT | O_TRUNC, 0o600)

        var argv: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
        argv.append(nil)
        defer { argv.forEach { free($0) } }
        let variables = environment ?? currentEnvironment()
        var envp: [UnsafeMutablePointer<CChar>?] = variables.map { strdup("\($0.key)=\($0.value)") }
        envp.append(nil)
        defer { envp.forEach { free($0) } }

        // Threads that run tests may block signals, which a child would go on doing.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

        var pid = pid_t()
        let code = posix_spawnp(&pid, executable, &actions, &attributes, argv, envp)
        unlink(inputPath)
        guard code == 0 else {
            throw ApusError(.internal, "cannot start \(executable): \(String(cString: strerror(code)))")
        }
        self.pid = pid
    }

    deinit {
        if self.status == nil {
            kill(self.pid, SIGKILL)
            _ = self.wait(seconds: 10)
        }
        unlink(self.outputPath)
        unlink(self.errorPath)
    }

    public var isRunning: Bool { self.poll() == nil }
    public var output: String { String(decoding: (try? readFile(self.outputPath)) ?? [], as: UTF8.self) }
    public var errors: String { String(decoding: (try? readFile(self.errorPath)) ?? [], as: UTF8.self) }

    public func signal(_ signal: Int32) { kill(self.pid, signal) }

    /// Waits for the end.
    /// - Returns: the exit code, 128 + signal when a signal ended it, nil when it still runs at the deadline.
    public func wait(seconds: Double) -> Int32? {
        _ = waitUntil(seconds: seconds) { self.poll() != nil }
        return self.poll()
    }

    private func poll() -> Int32? {
        if let status = self.status { return status }
        var raw: Int32 = 0
        guard waitpid(self.pid, &raw, WNOHANG) == self.pid else { return nil }
        let signal = raw & 0x7F
        let status = signal == 0 ? (raw >> 8) & 0xFF : 128 + signal
        self.status = status
        return status
    }
}

/// Waits until `condition` holds, looking every few milliseconds.
/// - Returns: whether it held before the deadline.
public func waitUntil(seconds: Double, _ condition: () throws -> Bool) rethrows -> Bool {
    var start = timespec()
    clock_gettime(CLOCK_MONOTONIC, &start)
    while true {
        if try condition() { return true }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let passed = Double(now.tv_sec - start.tv_sec) + Double(now.tv_nsec - start.tv_nsec) / 1e9
        if passed > seconds { return false }
        usleep(5_000)
    }
}

public func currentEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    var entry = environ
    while let text = entry.pointee {
        let line = String(cString: text)
        if let equals = line.firstIndex(of: "=") {
            variables[String(line[..<equals])] = String(line[line.index(after: equals)...])
        }
        entry += 1
    }
    return variables
}

public func readFile(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else {
        throw ApusError(.notFound, "cannot open \(path): \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes.append(contentsOf: chunk[..<count])
    }
}

public func writeFile(_ path: String, _ bytes: [UInt8]) throws {
    guard let file = fopen(path, "wb") else {
        throw ApusError(.internal, "cannot write \(path): \(String(cString: strerror(errno)))")
    }
    defer { fclose(file) }
    guard fwrite(bytes, 1, bytes.count, file) == bytes.count else {
        throw ApusError(.internal, "cannot write \(path): \(String(cString: strerror(errno)))")
    }
}

public func writeFile(_ path: String, _ text: String) throws { try writeFile(path, Array(text.utf8)) }
