internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusSandbox
internal import Glibc

/// A server of the installed tree with a data directory of its own, an echo in Python, a native one, and a topic.
final class HTTPBenchServer {
    let port: UInt16
    let token: String
    private let folder: String
    private let process: pid_t

    init(directory: String, concurrency: Int, workers: Int) throws {
        let files = try InstalledFiles.locate()
        var template = Array("\(directory)/apus-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchFailure("no folder can be made in \(directory)") }
        let folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.folder = folder
        chmod(folder, 0o755)
        let apus = try Self.program()
        let process = try BenchProcess.start(
            [apus, "serve", "--data", "\(folder)/data", "--listen", "127.0.0.1:0", "--port-file", "\(folder)/port"],
            output: "\(folder)/log")
        self.process = process
        guard let port = Self.wait(for: "\(folder)/port"), let number = UInt16(port) else {
            throw BenchFailure("the server did not start: \(Self.text("\(folder)/log") ?? "")")
        }
        self.port = number
        guard let token = Self.text("\(folder)/data/run/admin.token") else {
            throw BenchFailure("the server has no token")
        }
        self.token = token
        try Self.fill(folder, files.echoWorker, concurrency, workers)
        let status = try BenchProcess.run(
            [apus, "deploy", "\(folder)/functions", "--wait"], output: "\(folder)/deploy.log",
            environment: ["APUS_SERVER=http://127.0.0.1:\(number)", "APUS_DATA=\(folder)/data"])
        guard status == 0 else {
            throw BenchFailure("the functions were refused: \(Self.text("\(folder)/deploy.log") ?? "")")
        }
    }

    /// `apus` beside this program.
    private static func program() throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw BenchFailure("cannot read /proc/self/exe") }
        let path = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/apus"
    }

    private static func fill(_ folder: String, _ worker: String, _ concurrency: Int, _ workers: Int) throws {
        let functions = "\(folder)/functions"
        for name in ["", "/native"] { mkdir("\(functions)\(name)", 0o755) }
        let kind = concurrency > 1 ? "async def" : "def"
        try Self.write("\(kind) echo(event, context):\n    return event.data\n", to: "\(functions)/main.py")
        try Self.write(Self.manifest(concurrency, workers), to: "\(functions)/function.yaml")
        guard try BenchProcess.run(["/bin/cp", worker, "\(functions)/native/echo-native"], output: "/dev/null") == 0
        else {
            throw BenchFailure("\(worker) cannot be copied")
        }
    }

    private static func manifest(_ concurrency: Int, _ workers: Int) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: events}
        spec: {partitions: 4, retention: {size: 1Gi}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: python}
        spec:
          runtime: python3
          handler: main:echo
          concurrency: \(concurrency)
          scale: {min: \(workers), max: \(workers)}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: native}
        spec:
          runtime: native
          handler: echo-native
          source: native
          concurrency: 64
          scale: {min: 1, max: 1}
        """
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw BenchFailure("\(path) cannot be written") }
        fputs(text, file)
        fclose(file)
    }

    static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 16_384)
        let count = fread(&bytes, 1, bytes.count, file)
        return String(decoding: bytes[..<count], as: UTF8.self).filter { $0 != "\n" }
    }

    /// What a file holds once it holds something.
    private static func wait(for path: String) -> String? {
        let deadline = seconds() + 30
        while seconds() < deadline {
            if let text = Self.text(path), !text.isEmpty { return text }
            usleep(10_000)
        }
        return nil
    }

    func close() {
        kill(self.process, SIGTERM)
        var status: CInt = 0
        waitpid(self.process, &status, 0)
        _ = try? BenchProcess.run(["/bin/rm", "-rf", self.folder], output: "/dev/null")
    }
}

/// The floor's server: this program again, with nothing but a listener that gives each body back.
final class HTTPBenchFloor {
    let port: UInt16
    private let process: pid_t
    private let file: String

    init() throws {
        self.file = "/var/tmp/apus-bench-floor-\(getpid())"
        unlink(self.file)
        self.process = try BenchProcess.start(
            ["/proc/self/exe", "http-floor", "--port-file", self.file], output: "/dev/null")
        let deadline = seconds() + 10
        var found: UInt16?
        while found == nil, seconds() < deadline {
            found = HTTPBenchServer.text(self.file).flatMap { UInt16($0) }
            usleep(10_000)
        }
        guard let found else { throw BenchFailure("the floor's server did not start") }
        self.port = found
    }

    func close() {
        kill(self.process, SIGKILL)
        var status: CInt = 0
        waitpid(self.process, &status, 0)
        unlink(self.file)
    }

    /// Serves until it is killed.
    static func serve(_ options: BenchOptions) throws -> Never {
        guard let path = options.others["port-file"] else { throw BenchFailure("http-floor needs --port-file") }
        let loop = EventLoop()
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0, reusePort: false, joins: false)
        let port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        loop.runAndWait {
            let listener = HTTPListener(loop: loop) { exchange in
                exchange.respond(status: 200, headers: [("Content-Type", "application/json")], body: exchange.body)
            }
            do throws(ApusError) { try listener.listen(socket: OwnedDescriptor(adopting: descriptor)) } catch {
                exit(1)
            }
        }
        guard let file = fopen(path, "w") else { throw BenchFailure("\(path) cannot be written") }
        fputs("\(port)\n", file)
        fclose(file)
        while true { pause() }
    }
}
