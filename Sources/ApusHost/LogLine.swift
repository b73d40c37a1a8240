public import ApusCore
public import ApusEngine
public import ApusTelemetry

/// One line that a function printed or logged. Bytes are as they came: escaping control bytes is the reader's business.
public struct LogLine: Sendable, Equatable {
    public var function: ResourceName
    public var revision: String
    public var worker: WorkerID
    /// The attempt that wrote it, where that is certain.
    public var invocation: InvocationID?
    public var level: LogPayload.Level
    public var text: [UInt8]
    /// The line was longer than ``Limits/Host/lineBytes``.
    public var isCut: Bool
    /// Lines of this worker that were dropped since the one before.
    public var droppedBefore: Int
    public var time: Timestamp
    /// Of the attempt, when its trace is recorded.
    public var trace: TraceID?
}

/// Called on the shard's loop for each line.
public typealias LogSink = (LogLine) -> Void
