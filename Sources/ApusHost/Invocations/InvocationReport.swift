public import ApusCore
public import ApusEngine
internal import ApusJSON

/// What the record of an invocation on `apus.invocations` says.
public struct InvocationReport: Sendable {
    public var id: InvocationID
    public var function: ResourceName
    public var state: InvocationState
    public var principal: String
    public var queued: Timestamp
    /// When its first attempt began, as far as is known.
    public var started: Timestamp?
    public var finished: Timestamp?
    public var attempts: Int
    public var revision: String
    public var failure: Failure?
    public var progress: ProgressPayload?
    /// Where the time of the last attempt went.
    public var timing: AttemptTiming?
    /// It was begun as a task of an agent.
    public var isTask: Bool

    public init(
        id: InvocationID, function: ResourceName, state: InvocationState, principal: String, queued: Timestamp,
        started: Timestamp? = nil, finished: Timestamp? = nil, attempts: Int, revision: String,
        failure: Failure? = nil, progress: ProgressPayload? = nil, timing: AttemptTiming? = nil, isTask: Bool = false
    ) {
        self.isTask = isTask
        self.id = id
        self.function = function
        self.state = state
        self.principal = principal
        self.queued = queued
        self.started = started
        self.finished = finished
        self.attempts = attempts
        self.revision = revision
        self.failure = failure
        self.progress = progress
        self.timing = timing
    }

    /// One that will not run any more, from its record on the queue.
    public init(
        unfinished block: UnsafeRawBufferPointer, id: InvocationID, function: ResourceName, attempts: Int,
        failure: Failure, now: Timestamp
    ) {
        let envelope = InvocationLane.Envelope(block)
        self.init(
            id: id, function: function, state: .failed, principal: envelope.principal, queued: envelope.queued,
            finished: now, attempts: attempts, revision: "", failure: failure, isTask: envelope.isTask)
    }

    /// The record without a result.
    public var append: LogBatch.Append { self.append(Event(data: [])) }

    /// The record with the result that a handler gave.
    /// - Returns: nil when the result does not fit: its size, or that of its attributes.
    func append(result block: UnsafeRawBufferPointer, isLines: Bool) throws(FrameError) -> LogBatch.Append? {
        var result = try EventBlock.decode(block.bytes)
        result.attributes.removeAll { $0.kind == .header && $0.name.hasPrefix(InternalHeader.prefix) }
        if isLines { result["datacontenttype"] = "application/x-ndjson" }
        let headers = self.headers
        guard block.count <= Limits.eventBytes, result.attributes.count <= Limits.attributesPerEvent - headers.count,
            EventBlock.attributesSize(result.attributes) + EventBlock.attributesSize(headers) <= Limits.attributesBytes
        else { return nil }
        return self.append(result)
    }

    /// The record with what its handler asks.
    func append(questions: [UInt8]) -> LogBatch.Append {
        self.append(Event(attributes: [Attribute("datacontenttype", "application/json")], data: questions))
    }

    private func append(_ result: Event) -> LogBatch.Append {
        var record = result
        record.key = Array(self.id.description.utf8)
        record.attributes += self.headers
        if record.data == nil {
            record.data = []
            record.attributes.append(Attribute(InvocationHeader.isNull, "1", kind: .header))
        }
        return LogBatch.Append(
            topic: .invocations, partition: self.id.partition(among: Limits.Invocations.partitions),
            block: EventBlock.encode(record))
    }

    private var headers: [Attribute] {
        var headers: [Attribute] = []
        func add(_ name: String, _ value: String?) {
            if let value { headers.append(Attribute(name, value, kind: .header)) }
        }
        add(InvocationHeader.state, self.state.rawValue)
        add(InvocationHeader.function, "\(self.function.namespace)/\(self.function.name)")
        add(InvocationHeader.principal, clipped(self.principal, to: Limits.Host.messageBytes))
        add(InvocationHeader.queued, "\(self.queued.microseconds)")
        add(InvocationHeader.started, self.started.map { "\($0.microseconds)" })
        add(InvocationHeader.finished, self.finished.map { "\($0.microseconds)" })
        add(InvocationHeader.attempts, "\(self.attempts)")
        add(InvocationHeader.revision, self.revision)
        add(InvocationHeader.task, self.isTask ? "1" : nil)
        if let failure = self.failure {
            add(InvocationHeader.code, failure.code.rawValue)
            add(InvocationHeader.message, clipped(failure.message, to: Limits.Host.messageBytes))
            if !failure.detail.isEmpty {
                add(InvocationHeader.detail, clipped(failure.detail, to: Limits.Host.detailBytes))
            }
        }
        if let timing = self.timing {
            let json = JSONValue.object(JSONObject(timing.members))
            add(InvocationHeader.timing, String(decoding: json.encoded(), as: UTF8.self))
        }
        if let progress = self.progress {
            let message = clipped(progress.message, to: Limits.Host.messageBytes)
            add(InvocationHeader.progress, "\(progress.done)/\(progress.total)/\(message)")
        }
        return headers
    }

    /// The answer to one question of an invocation that another node may own, and what takes it away once the invocation is over. Until
    /// then it stays: a node that is slow to follow the topic does not find what was taken away meanwhile.
    public static func answerRequest(_ id: InvocationID, question: String, _ answer: [UInt8]?) -> LogBatch.Append {
        let event = Event(key: Array("\(id)/answer/\(question)".utf8), data: answer)
        return LogBatch.Append(
            topic: .invocations, partition: id.partition(among: Limits.Invocations.partitions),
            block: EventBlock.encode(event))
    }

    /// The request to cancel an invocation, and what takes it away once it is answered.
    public static func cancelRequest(_ id: InvocationID, principal: String?) -> LogBatch.Append {
        let event = Event(
            key: InvocationTrigger.cancelRequest(id),
            attributes: principal.map { [Attribute(InvocationHeader.principal, $0, kind: .header)] } ?? [],
            data: principal == nil ? nil : [])
        return LogBatch.Append(
            topic: .invocations, partition: id.partition(among: Limits.Invocations.partitions),
            block: EventBlock.encode(event))
    }
}
