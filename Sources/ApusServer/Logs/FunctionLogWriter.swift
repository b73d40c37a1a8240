public import ApusCore
internal import ApusJSON
internal import ApusLoop

/// One line that a function printed or logged.
public struct FunctionLogLine: Sendable {
    public var function: ResourceName
    public var revision: String
    public var worker: UInt64
    public var invocation: InvocationID?
    public var level: LogPayload.Level
    public var text: String
    public var time: Timestamp

    public init(
        function: ResourceName, revision: String, worker: UInt64, invocation: InvocationID?, level: LogPayload.Level, text: String,
        time: Timestamp
    ) {
        self.function = function
        self.revision = revision
        self.worker = worker
        self.invocation = invocation
        self.level = level
        self.text = text
        self.time = time
    }
}

/// Appends what functions print to `apus.logs`, best effort: lines above the bound are dropped and counted, never waited for.
/// Confined to one loop; one transaction under way at a time.
final class FunctionLogWriter {
    private let loop: EventLoop
    private let log: any EventLog
    private var waiting: [FunctionLogLine] = []
    private var timer: LoopTimer?
    private var isTimerSet = false
    private var isWriting = false
    private(set) var dropped: UInt64 = 0
    private(set) var written: UInt64 = 0

    init(_ loop: EventLoop, _ log: any EventLog) {
        self.loop = loop
        self.log = log
        self.timer = LoopTimer(loop) { [weak self] in
            self?.isTimerSet = false
            self?.flush()
        }
    }

    func append(_ line: FunctionLogLine) {
        guard self.waiting.count < Limits.Server.waitingLogLines else {
            self.dropped += 1
            return
        }
        self.waiting.append(line)
        if !self.isTimerSet, !self.isWriting {
            self.isTimerSet = true
            self.timer?.start(milliseconds: Limits.Server.logGatherMilliseconds)
        }
    }

    func flush() {
        guard !self.isWriting, !self.waiting.isEmpty else { return }
        let count = min(self.waiting.count, Limits.Server.logLinesPerBatch)
        let batch = LogBatch(
            urgency: .producer,
            appends: self.waiting[..<count].map { LogBatch.Append(topic: .logs, block: Self.encode($0)) }
        )
        self.waiting.removeFirst(count)
        self.isWriting = true
        // SAFETY: the reference only travels to the log's thread and back; it is used on the loop alone.
        nonisolated(unsafe) let writer = self
        self.log.submit(batch) { [loop] result in
            let isWritten = switch result { case .success: true; case .failure: false }
            loop.post { writer.completed(count, isWritten) }
        }
    }

    func close() {
        self.timer?.close()
        self.timer = nil
    }

    private func completed(_ count: Int, _ isWritten: Bool) {
        self.isWriting = false
        if isWritten { self.written += UInt64(count) } else { self.dropped += UInt64(count) }
        if self.timer != nil { self.flush() }
    }

    private static func encode(_ line: FunctionLogLine) -> [UInt8] {
        var data: JSONValue = [
            "level": .string("\(line.level)"), "text": .string(line.text), "revision": .string(line.revision), "worker": .number(line.worker),
            "time": .number(line.time.microseconds),
        ]
        if let invocation = line.invocation { data["invocation"] = .string(invocation.description) }
        let event = Event(
            key: Array("\(line.function.namespace)/\(line.function.name)".utf8),
            attributes: [
                Attribute("id", "\(line.worker)-\(line.time.microseconds)"),
                Attribute("source", "/apus/\(line.function.namespace)/\(line.function.name)"),
                Attribute("type", "dev.apus.log"),
                Attribute("datacontenttype", "application/json"),
            ],
            data: data.encoded()
        )
        return EventBlock.encode(event)
    }
}
