internal import ApusSandbox
internal import Glibc

/// What is deployed on a server that is measured.
protocol HTTPBenchDeployment {
    /// Writes it below a folder that is there.
    /// - Returns: the folders to deploy, in order, and whether their functions must be running.
    func write(to folder: String, _ files: InstalledFiles) throws -> [(folder: String, starts: Bool)]
}

/// A server of the installed tree with a data directory of its own and what it is to serve.
final class HTTPBenchServer {
    let port: UInt16
    let token: String
    private let folder: String
    let process: pid_t

    init(directory: String, functions: some HTTPBenchDeployment) throws {
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
        for (functions, starts) in try functions.write(to: folder, files) {
            let status = try BenchProcess.run(
                [apus, "deploy", functions] + (starts ? ["--wait"] : []), output: "\(folder)/deploy.log",
                environment: ["APUS_SERVER=http://127.0.0.1:\(number)", "APUS_DATA=\(folder)/data"])
            guard status == 0 else {
                throw BenchFailure("the functions were refused: \((Self.text("\(folder)/deploy.log") ?? "").suffix(500))")
            }
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
