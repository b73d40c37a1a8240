public import ApusCore

/// One line that a function printed or logged, as it lies on `apus.logs`.
public struct LogLine: Sendable, Equatable {
    /// The names of the headers beside the text.
    public enum Header {
        public static let revision = "apus-log-revision"
        public static let worker = "apus-log-worker"
        public static let invocation = "apus-log-invocation"
        public static let level = "apus-log-level"
        public static let trace = "apus-log-trace"
    }

    public var function: ResourceName
    public var time: Timestamp
    public var level: LogPayload.Level
    public var text: String
    public var revision: String
    /// Which worker wrote it; workers of one server have numbers.
    public var worker: UInt64
    /// The attempt it belongs to; empty for what a worker printed outside one.
    public var invocation: String
    /// The trace of the attempt, 32 hexadecimal digits; empty when none is recorded.
    public var trace: String

    public init(
        function: ResourceName, time: Timestamp, level: LogPayload.Level, text: String, revision: String = "",
        worker: UInt64 = 0,
        invocation: String = "", trace: String = ""
    ) {
        self.function = function
        self.time = time
        self.level = level
        self.text = text
        self.revision = revision
        self.worker = worker
        self.invocation = invocation
        self.trace = trace
    }

    /// The record for `apus.logs`; its key is the function, so that one function's lines keep their order. The log stamps the time.
    public var event: Event {
        Event(
            key: Array("\(self.function.namespace)/\(self.function.name)".utf8),
            attributes: [
                Attribute(Header.revision, self.revision, kind: .header),
                Attribute(Header.worker, String(self.worker), kind: .header),
                Attribute(Header.invocation, self.invocation, kind: .header),
                Attribute(Header.level, String(self.level.rawValue), kind: .header),
            ] + (self.trace.isEmpty ? [] : [Attribute(Header.trace, self.trace, kind: .header)]),
            data: Array(self.text.utf8), timestamp: self.time
        )
    }

    /// - Returns: nil when the record is no log line.
    public init?(_ event: Event) {
        let parts = String(decoding: event.key ?? [], as: UTF8.self).split(separator: "/", maxSplits: 1)
        guard parts.count == 2, let namespace = Namespace(String(parts[0])),
            let name = ResourceName(namespace, String(parts[1])),
            let data = event.data
        else { return nil }
        func header(_ name: String) -> String? {
            event.attributes.first { $0.kind == .header && $0.name == name }?.text
        }
        self.init(
            function: name, time: event.timestamp,
            level: header(Header.level).flatMap(UInt8.init).flatMap(LogPayload.Level.init(rawValue:)) ?? .info,
            text: String(decoding: data, as: UTF8.self), revision: header(Header.revision) ?? "",
            worker: header(Header.worker).flatMap(UInt64.init) ?? 0, invocation: header(Header.invocation) ?? "",
            trace: header(Header.trace) ?? ""
        )
    }
}

extension LogPayload.Level {
    /// The name in answers and on screens.
    public var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .warning: "warning"
        case .error: "error"
        case .stdout: "stdout"
        case .stderr: "stderr"
        }
    }
}
