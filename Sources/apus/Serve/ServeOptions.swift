internal import ApusCore
internal import ApusLog
internal import ApusServer
internal import ApusTelemetry
internal import Glibc

/// What the command line and the environment tell a server.
struct ServeOptions {
    var server: ServerConfiguration
    var log: EmbeddedLogConfiguration
    var portFile: String?
    var logFormat: LogFormat

    init(_ arguments: ParsedArguments, _ environment: [String: String]) throws {
        let folder = arguments["--data"] ?? environment["APUS_DATA"] ?? "/var/lib/apus"
        self.server = ServerConfiguration(dataDirectory: Self.absolute(folder))
        let (address, port) = try Self.address(arguments["--listen"] ?? "127.0.0.1:8787")
        self.server.address = address
        self.server.port = port
        self.server.shards = try arguments.integer("--shards", in: 1...Limits.shards) ?? 1
        self.server.drainSeconds = Int64(try arguments.integer("--drain", in: 0...600) ?? 5)
        self.server.allowedHosts = arguments.all("--allow-host")
        self.server.isBehindProxy = arguments.has("--behind-proxy")
        self.server.buildEnvironment = Self.buildEnvironment(environment)
        self.server.version = Version.text
        self.server.telemetry.endpoint = environment["APUS_TELEMETRY_OTLP_ENDPOINT"]
        self.log = EmbeddedLogConfiguration()
        if arguments["--durability"] == "process" { self.log.durability = .process }
        if let size = arguments["--map-size"] { self.log.mapBytes = try Self.bytes(size) }
        self.portFile = arguments["--port-file"].map(Self.absolute)
        self.logFormat = arguments["--log-format"].flatMap(LogFormat.init(rawValue:)) ?? .text
    }

    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
    }

    /// `127.0.0.1:8787`, `[::1]:8787`.
    private static func address(_ text: String) throws(UsageError) -> (String, UInt16) {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]),
            colon != text.startIndex
        else {
            throw UsageError("--listen is '\(text)', but an address and a port are expected, as 127.0.0.1:8787")
        }
        let host = text[..<colon]
        return (host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host), port)
    }

    private static func bytes(_ text: String) throws(UsageError) -> Int {
        let units: [(String, Int)] = [("Ki", 1 << 10), ("Mi", 1 << 20), ("Gi", 1 << 30), ("Ti", 1 << 40), ("", 1)]
        for (suffix, size) in units where text.hasSuffix(suffix) {
            guard let count = Int(text.dropLast(suffix.count)), count > 0 else { break }
            let (bytes, isOver) = count.multipliedReportingOverflow(by: size)
            if !isOver { return bytes }
        }
        throw UsageError("--map-size is '\(text)', but a size is expected, as 512Mi or 64Gi")
    }

    /// What pip is told about its index: its own variables and those of proxies.
    private static func buildEnvironment(_ environment: [String: String]) -> [String] {
        environment.filter { name, _ in
            name.hasPrefix("PIP_") || ["http_proxy", "https_proxy", "no_proxy"].contains(name.lowercased())
        }.map { "\($0.key)=\($0.value)" }.sorted()
    }
}
