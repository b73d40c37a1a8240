import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// A server of the built binary with a data directory of its own, and the command line pointed at it.
///
/// Everything goes through the binary, as a user would. The folder is removed with the value.
final class TestServer {
    let folder: String
    let tree: String
    private(set) var process: ChildProcess?
    private(set) var port: UInt16 = 0
    private let extra: [String]
    /// What to run in a mount namespace of the server's own, before it starts: to take something of the host away from it.
    private let preparation: String?
    /// Who starts it, without root; nil for root.
    private let user: uid_t?

    /// Variables of the servers that are started from here on, beside those of the test.
    var variables: [String: String]
    /// What the command line trusts, where the server ends TLS.
    var authorities: String?

    init(arguments: [String] = [], variables: [String: String] = [:], preparation: String? = nil, user: uid_t? = nil)
        throws
    {
        self.variables = variables
        self.tree = try InstalledTree.path.get()
        self.folder = "/var/tmp/apus-it-\(getpid())-\(UInt32.random(in: 0 ..< .max))"
        self.extra = arguments
        self.preparation = preparation
        self.user = user
        mkdir(self.folder, 0o755)
        if let user { chown(self.folder, user, user) }
    }

    deinit {
        self.process?.signal(SIGKILL)
        _ = self.process?.wait(seconds: 10)
        _ = try? ChildProcess("/bin/rm", ["-rf", self.folder], in: "/var/tmp").wait(seconds: 60)
    }

    var data: String { "\(self.folder)/data" }
    var url: String { "\(self.extra.contains("--tls-cert") ? "https" : "http")://127.0.0.1:\(self.port)" }
    var log: String { (self.process?.output ?? "") + (self.process?.errors ?? "") }

    /// Starts the server and waits until `/readyz` says so.
    func start() throws {
        let portFile = "\(self.folder)/port"
        unlink(portFile)
        let arguments = ["serve", "--data", self.data, "--port-file", portFile] + self.listen(port: 0) + self.extra
        let words = self.asUser(["\(self.tree)/bin/apus"] + arguments)
        let process =
            if let preparation = self.preparation {
                try ChildProcess(
                    "unshare", ["-m", "bash", "-c", "\(preparation) && exec \"$0\" \"$@\""] + words,
                    environment: self.environment, in: self.folder)
            } else {
                try ChildProcess(words[0], Array(words.dropFirst()), environment: self.environment, in: self.folder)
            }
        self.process = process
        let isUp = try waitUntil(seconds: 30) {
            guard process.isRunning else {
                throw ApusError(.notReady, "the server ended: \(process.errors)\(process.output)")
            }
            guard let text = try? readFile(portFile),
                let port = UInt16(String(decoding: text, as: UTF8.self).filter(\.isNumber))
            else {
                return false
            }
            self.port = port
            return true
        }
        guard isUp else { throw ApusError(.notReady, "the server did not start: \(process.errors)") }
        guard waitUntil(seconds: 30, { self.apus("get", "functions").status == 0 }) else {
            throw ApusError(.notReady, "the server does not answer: \(self.log)")
        }
    }

    /// Makes everything in the data directory another user's, as a server that ran as that one would have left it.
    func giveData(to user: uid_t) throws {
        let process = try ChildProcess("/bin/chown", ["-R", "-h", "\(user):\(user)", self.data], in: "/var/tmp")
        guard process.wait(seconds: 60) == 0 else { throw ApusError(.internal, "chown: \(process.errors)") }
    }

    private func asUser(_ words: [String]) -> [String] {
        guard let user = self.user else { return words }
        return ["setpriv", "--reuid", "\(user)", "--regid", "\(user)", "--clear-groups"] + words
    }

    private var environment: [String: String] { currentEnvironment().merging(self.variables) { $1 } }

    private func listen(port: UInt16) -> [String] {
        self.extra.contains("--listen") ? [] : ["--listen", "127.0.0.1:\(port)"]
    }

    /// Starts another server that takes this one's place, and waits until this one is gone.
    /// - Throws: what the new one said when it did not come to that.
    func upgrade() throws {
        let old = self.process
        let portFile = "\(self.folder)/port"
        unlink(portFile)
        let arguments =
            ["serve", "--upgrade", "--data", self.data, "--port-file", portFile] + self.listen(port: self.port)
            + self.extra
        let words = self.asUser(["\(self.tree)/bin/apus"] + arguments)
        let new = try ChildProcess(
            words[0], Array(words.dropFirst()), environment: self.environment, in: self.folder)
        let isServing = try waitUntil(seconds: 30) {
            guard new.isRunning else { throw ApusError(.notReady, "the successor ended: \(new.errors)") }
            return (try? readFile(portFile))?.contains(0x0A) ?? false
        }
        self.process = new
        guard isServing, old?.wait(seconds: 90) == 0 else {
            throw ApusError(.notReady, "no upgrade: \(old?.errors ?? "") \(new.errors)")
        }
    }

    /// The process that serves this data directory, found by what it holds open: a successor in the background is nobody's child.
    func successor() throws -> pid_t {
        guard let directory = opendir("/proc") else { throw ApusError(.internal, "no /proc") }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), let words = try? readFile("/proc/\(pid)/cmdline") else { continue }
            let line = words.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            if line.first == "\(self.tree)/bin/apus", line.contains(self.data) { return pid }
        }
        throw ApusError(.notFound, "nobody serves \(self.data)")
    }

    /// Puts the data directory, before the first start, on a file system of its own that is soon full.
    func mountSmallDisk() throws {
        mkdir(self.data, 0o700)
        try #require(
            mount("tmpfs", self.data, "tmpfs", 0, "size=320m") == 0, "a small file system could not be mounted")
    }

    func unmountSmallDisk() {
        self.kill9()
        umount2(self.data, CInt(MNT_DETACH))
    }

    func kill9() {
        self.process?.signal(SIGKILL)
        _ = self.process?.wait(seconds: 10)
    }

    /// Ends it as systemd would.
    /// - Returns: its exit code, nil when it did not end in time.
    func terminate(seconds: Double = 20) -> Int32? {
        self.process?.signal(SIGTERM)
        return self.process?.wait(seconds: seconds)
    }

    struct CommandResult {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Runs one command of the command line against this server.
    func apus(_ arguments: String..., input: String = "", seconds: Double = 60) -> CommandResult {
        self.apus(arguments: arguments, input: input, seconds: seconds)
    }

    func apus(arguments: [String], input: String = "", seconds: Double = 60) -> CommandResult {
        do {
            let child = try ChildProcess(
                "\(self.tree)/bin/apus", arguments, environment: self.clientEnvironment, input: Array(input.utf8),
                in: self.folder
            )
            let status = child.wait(seconds: seconds)
            return CommandResult(status: status ?? -1, output: child.output, errors: child.errors)
        } catch {
            return CommandResult(status: -1, output: "", errors: "\(error)")
        }
    }

    private var clientEnvironment: [String: String] {
        var environment = currentEnvironment()
        environment["APUS_SERVER"] = self.url
        environment["APUS_DATA"] = self.data
        environment["APUS_CA"] = self.authorities
        return environment
    }

    /// Starts a command of the command line that goes on while the test does.
    func begin(_ arguments: String...) throws -> ChildProcess {
        try self.begin(program: "\(self.tree)/bin/apus", arguments)
    }

    /// Starts a program that calls the command line.
    func begin(program: String, _ arguments: [String]) throws -> ChildProcess {
        try ChildProcess(program, arguments, environment: self.clientEnvironment, in: self.folder)
    }

    /// Writes a function's folder: the manifest as `function.yaml` and files beside it.
    /// - Returns: the folder.
    func write(_ name: String, manifest: String, files: [String: String] = [:]) throws -> String {
        let folder = "\(self.folder)/\(name)"
        mkdir(folder, 0o755)
        try writeFile("\(folder)/function.yaml", manifest)
        for (file, text) in files { try writeFile("\(folder)/\(file)", text) }
        return folder
    }

    /// Deploys and fails the test with what the command said when it did not work.
    func deploy(_ folder: String, sourceLocation: SourceLocation = #_sourceLocation) {
        let result = self.apus("deploy", folder, "--wait")
        #expect(result.status == 0, "deploy: \(result.errors)\(result.output)", sourceLocation: sourceLocation)
    }

    /// Everything a topic holds, as `apus consume --output json` prints it, one event a line.
    func consume(_ topic: String) -> [String] {
        let result = self.apus("consume", topic, "--from", "earliest", "--output", "json")
        return result.output.split(separator: "\n").map(String.init)
    }
}
