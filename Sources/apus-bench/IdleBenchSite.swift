internal import ApusHTTP
internal import ApusTestSupport
internal import Glibc

/// A server of the installed tree that this program is part of, on a data directory of its own.
final class IdleBenchSite {
    struct Memory {
        var resident = 0.0
        var anonymous = 0.0
    }

    private let folder: String
    private let program: String
    private var server: ChildProcess?
    private var port = 0
    private let variables: [String: String]

    /// - Parameter variables: settings of the server, as `APUS_…`.
    init(directory: String, variables: [String: String] = [:]) throws {
        self.variables = variables
        guard geteuid() == 0 else { throw BenchFailure("a server needs root: run this with sudo") }
        var path = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &path, path.count - 1)
        let own = String(decoding: path.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.program = own[..<(own.lastIndex(of: "/") ?? own.endIndex)] + "/apus"
        guard access(self.program, X_OK) == 0 else {
            throw BenchFailure("\(self.program) is missing: run the apus-bench of an installed tree (make install)")
        }
        var template = Array("\(directory)/apus-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchFailure("no folder can be made in \(directory)") }
        self.folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(self.folder, 0o755)
    }

    func close() {
        self.server?.signal(SIGKILL)
        _ = self.server?.wait(seconds: 10)
        if let child = try? ChildProcess("rm", ["-rf", self.folder], in: "/var/tmp") { _ = child.wait(seconds: 60) }
    }

    /// - Returns: seconds from the start of the process until it says that it is ready.
    func start() throws -> Double {
        let portFile = "\(self.folder)/port"
        unlink(portFile)
        let start = seconds()
        let server = try ChildProcess(
            self.program,
            ["serve", "--data", "\(self.folder)/data", "--listen", "127.0.0.1:0", "--port-file", portFile],
            environment: currentEnvironment().merging(self.variables) { $1 }, in: self.folder)
        self.server = server
        var client: HTTPClient?
        while seconds() - start < 60 {
            guard server.isRunning else { throw BenchFailure("the server ended: \(server.errors)") }
            if client == nil, let text = try? readFile(portFile),
                let port = Int(String(decoding: text, as: UTF8.self).filter(\.isNumber)), text.last == 10
            {
                self.port = port
                client = try HTTPClient()
            }
            if let client, try self.isReady(client) { return seconds() - start }
            usleep(500)
        }
        throw BenchFailure("the server was not ready within 60 s: \(server.errors)")
    }

    private func isReady(_ client: HTTPClient) throws -> Bool {
        try self.request(client, "GET", "/readyz").isSuccess
    }

    /// Asks the server, with its admin token.
    func request(_ client: HTTPClient, _ method: String, _ path: String) throws -> HTTPResponse {
        try client.request(
            method, "\(self.url)\(path)", headers: [HTTPHeader("Authorization", "Bearer \(try self.token())")])
    }

    var url: String { "http://127.0.0.1:\(self.port)" }

    /// The server's admin token.
    func token() throws -> String {
        let bytes = try readFile(self.data("run/admin.token"))
        return String(String(decoding: bytes, as: UTF8.self).prefix { !$0.isNewline })
    }

    /// A file of its data directory.
    func data(_ name: String) -> String { "\(self.folder)/data/\(name)" }

    func stop() throws {
        self.server?.signal(SIGTERM)
        guard self.server?.wait(seconds: 30) == 0 else { throw BenchFailure("the server did not end well") }
    }

    /// - Returns: a folder with a manifest and, without other files, an echo.
    func write(_ name: String, _ manifest: String, _ files: [String: [UInt8]] = [:]) throws -> String {
        let folder = "\(self.folder)/\(name)"
        mkdir(folder, 0o755)
        try writeFile("\(folder)/function.yaml", manifest)
        let echo = ["main.py": Array("def handle(event, context):\n    return event.data  # \(name)\n".utf8)]
        for (file, bytes) in files.isEmpty ? echo : files { try writeFile("\(folder)/\(file)", bytes) }
        return folder
    }

    /// Runs a command to its end.
    func apus(_ arguments: [String]) throws {
        let child = try self.process(arguments)
        guard child.wait(seconds: 300) == 0 else { throw BenchFailure("apus \(arguments): \(child.errors)") }
    }

    /// Starts a command.
    func process(_ arguments: [String]) throws -> ChildProcess {
        var environment = currentEnvironment()
        environment["APUS_SERVER"] = "http://127.0.0.1:\(self.port)"
        environment["APUS_DATA"] = "\(self.folder)/data"
        return try ChildProcess(self.program, arguments, environment: environment, in: self.folder)
    }

    /// Of the server and of the nursery.
    func memory() throws -> (server: Memory, nursery: Memory) {
        guard let server = self.server else { throw BenchFailure("no server runs") }
        var nursery = Memory()
        for child in try self.children() {
            let memory = try Self.memory(child)
            nursery.resident += memory.resident
            nursery.anonymous += memory.anonymous
        }
        return (try Self.memory(server.pid), nursery)
    }

    /// User and system time of the server and of its children that live.
    func processorSeconds() throws -> Double {
        guard let server = self.server else { throw BenchFailure("no server runs") }
        return try ([server.pid] + self.children()).reduce(0) { $0 + (try Self.processorSeconds($1)) }
    }

    private func children() throws -> [pid_t] {
        guard let pid = self.server?.pid else { return [] }
        return String(decoding: try readFile("/proc/\(pid)/task/\(pid)/children"), as: UTF8.self).split(separator: " ")
            .compactMap { pid_t($0) }
    }

    private static func memory(_ pid: pid_t) throws -> Memory {
        var memory = Memory()
        for line in String(decoding: try readFile("/proc/\(pid)/status"), as: UTF8.self).split(separator: "\n") {
            let kibibytes = Double(line.filter(\.isNumber)) ?? 0
            if line.hasPrefix("VmRSS:") { memory.resident = kibibytes * 1_024 }
            if line.hasPrefix("RssAnon:") { memory.anonymous = kibibytes * 1_024 }
        }
        return memory
    }

    private static func processorSeconds(_ pid: pid_t) throws -> Double {
        let text = String(decoding: try readFile("/proc/\(pid)/stat"), as: UTF8.self)
        // The name may hold anything, in parentheses.
        let fields = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
        guard fields.count > 13, let user = Double(fields[12]), let system = Double(fields[13]) else { return 0 }
        return (user + system) / Double(sysconf(CInt(_SC_CLK_TCK)))
    }
}
