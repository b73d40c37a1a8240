internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import Glibc

/// The floor's server: this program again, with nothing but a listener. `/echo` gives each body back, `/json` parses it before, and
/// `/page` parses it and answers with a page that was given at the start.
final class HTTPBenchFloor {
    let port: UInt16
    private let process: pid_t
    private let file: String

    /// - Parameter page: what `/page` answers.
    init(page: [UInt8] = []) throws {
        self.file = "/var/tmp/apus-bench-floor-\(getpid())"
        unlink(self.file)
        try BenchFiles.write(page, to: "\(self.file).page")
        self.process = try BenchProcess.start(
            ["/proc/self/exe", "http-floor", "--port-file", self.file, "--page", "\(self.file).page"], output: "/dev/null")
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
        unlink("\(self.file).page")
    }

    /// Serves until it is killed.
    static func serve(_ options: BenchOptions) throws -> Never {
        guard let path = options.others["port-file"] else { throw BenchFailure("http-floor needs --port-file") }
        let page = try options.others["page"].map { try BenchFiles.read($0) } ?? []
        let loop = EventLoop()
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0, reusePort: false, joins: false)
        let port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        loop.runAndWait {
            let parser = JSONParser()
            let listener = HTTPListener(loop: loop) { exchange in
                var answer = exchange.body
                if exchange.rawPath != "/echo" {
                    do throws(ApusError) { try parser.parse(exchange.body) { _ in } } catch { answer = [] }
                }
                if exchange.rawPath == "/page" { answer = page }
                exchange.respond(status: 200, headers: [("Content-Type", "application/json")], body: answer)
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
