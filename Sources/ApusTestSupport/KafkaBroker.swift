internal import ApusCore
internal import Glibc

/// A real Kafka for tests: the one that `KAFKA_BOOTSTRAP` names, or one that `../shared/kafka/broker` starts on loopback, once for the
/// process, and that ends with it.
public enum KafkaBroker {
    public static let skipReason: String =
        "no Kafka: set KAFKA_BOOTSTRAP to host:port, or have ../shared/kafka/broker and a Java runtime beside this checkout"

    /// Whether tests on a real broker can run here; says why when they cannot.
    public static let isThere: Bool = {
        if Self.named != nil || Self.script != nil { return true }
        print("Kafka tests do not run: \(Self.skipReason)")
        return false
    }()

    /// The address of the broker, started when none is named.
    public static func bootstrap() throws -> String { try Self.started.get() }

    private static let named: String? = getenv("KAFKA_BOOTSTRAP").map { String(cString: $0) }.flatMap {
        $0.isEmpty ? nil : $0
    }

    private static let script: String? = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let path = "/\(root)/../shared/kafka/broker"
        let java = (access("/usr/bin/java", X_OK) == 0)
        return access(path, X_OK) == 0 && java ? path : nil
    }()

    private static let started: Result<String, any Error> = Result {
        if let named = Self.named { return named }
        guard let script = Self.script else { throw ApusError(.internal, Self.skipReason) }
        atexit(stopBroker)
        // Retention is looked at by the log under test, on the clock of its test.
        return try Self.start(script, in: Self.folder, settings: ["log.retention.check.interval.ms=3600000"])
    }

    /// Starts a broker of its own, and once more when it does not start: of the random names that the script gives a cluster one in 64 begins
    /// with a dash, which Kafka's own tool takes for an option.
    /// - Returns: its address.
    public static func start(_ script: String, in folder: String, settings: [String] = []) throws -> String {
        func attempt() throws -> String {
            let arguments = ["start", "--dir", folder] + settings.flatMap { ["--set", $0] }
            let process = try ChildProcess(script, arguments, in: "/tmp")
            guard process.wait(seconds: 120) != nil else { throw ApusError(.internal, "\(script) did not end") }
            let address = process.output.split(separator: "\n").last.map(String.init) ?? ""
            guard address.contains(":") else { throw ApusError(.internal, "\(script): \(process.errors)") }
            return address
        }
        do { return try attempt() } catch {
            print("\(error)\nthe broker did not start; once more")
            _ = try ChildProcess(script, ["stop", "--dir", folder, "--wipe"], in: "/tmp").wait(seconds: 60)
            return try attempt()
        }
    }

    private static let folder = "/tmp/apus-kafka-\(getpid())"

    fileprivate static func stop() {
        guard let script = Self.script else { return }
        _ = try? ChildProcess(script, ["stop", "--dir", Self.folder, "--wipe"], in: "/tmp").wait(seconds: 60)
    }
}

private func stopBroker() { KafkaBroker.stop() }
