internal import Glibc

/// How soon nothing runs any more for a client of 2026-07-28 that closed its connection: calls of a tool that would take half a minute,
/// each in a sandbox of its own.
struct ToolsBenchCancel {
    let load: HTTPBenchLoad

    /// A time that nobody else sleeps for: by it the process is found among all.
    static let handler = "sleep 31.4159"
    private static let commandLine = Array("sleep\u{0}31.4159\u{0}".utf8)
    /// How long it runs before its client leaves.
    private static let runsMicroseconds: UInt32 = 200_000
    private static let waitSeconds = 10.0

    /// - Returns: milliseconds from the close to the end of the process, of each call.
    func times(_ count: Int) throws -> [Double] {
        try (0..<count).map { _ in
            let client = try self.load.begin()
            guard let process = Self.await({ Self.process() }) else {
                Glibc.close(client)
                throw BenchFailure("the call that is to be cancelled did not begin within \(Self.waitSeconds) s")
            }
            usleep(Self.runsMicroseconds)
            let start = seconds()
            Glibc.close(client)
            let end = Self.await { kill(process, 0) == 0 ? nil : seconds() }
            guard let end else {
                throw BenchFailure("the sandbox of a client that left runs on after \(Self.waitSeconds) s")
            }
            return (end - start) * 1_000
        }
    }

    private static func await<Value>(_ find: () -> Value?) -> Value? {
        let deadline = seconds() + Self.waitSeconds
        while seconds() < deadline {
            if let value = find() { return value }
            usleep(200)
        }
        return nil
    }

    private static func process() -> pid_t? {
        BenchProcess.all { $0.suffix(Self.commandLine.count) == Self.commandLine[...] }.first
    }
}
