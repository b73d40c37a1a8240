// Payloads of frames with a fixed layout, little-endian. INIT, CALL and INPUT payloads are JSON: they are never on the path of
// an event.

/// HELLO, the first frame of a worker.
///
///     0  u16  lowest version it speaks    2  u16  highest    4  u32  features    8  u16 length, UTF-8: its runtime's name
public struct HelloPayload: Sendable, Equatable {
    public struct Features: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// Receives sealed memory descriptors on descriptor 5.
        public static let descriptors = Features(rawValue: 1)
        public static let batch = Features(rawValue: 2)
        public static let sleep = Features(rawValue: 4)
        public static let streams = Features(rawValue: 8)
    }

    public var lowest: UInt16
    public var highest: UInt16
    public var features: Features
    public var runtime: String

    public init(lowest: UInt16, highest: UInt16, features: Features, runtime: String) {
        self.lowest = lowest
        self.highest = highest
        self.features = features
        self.runtime = runtime
    }

    public init(parsing bytes: RawSpan) throws(FrameError) {
        guard bytes.byteCount >= 10 else { throw .truncated }
        let count = Int(bytes.littleEndian(at: 8, as: UInt16.self))
        guard count <= 64, bytes.byteCount == 10 + count else { throw .malformed }
        self.lowest = bytes.littleEndian(at: 0, as: UInt16.self)
        self.highest = bytes.littleEndian(at: 2, as: UInt16.self)
        guard self.lowest <= self.highest else { throw .malformed }
        self.features = Features(rawValue: bytes.littleEndian(at: 4, as: UInt32.self))
        self.runtime = String(decoding: copy(bytes, 10..<10 + count), as: UTF8.self)
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.appendLittleEndian(self.lowest)
        bytes.appendLittleEndian(self.highest)
        bytes.appendLittleEndian(self.features.rawValue)
        bytes.appendLittleEndian(UInt16(self.runtime.utf8.count))
        bytes.append(contentsOf: self.runtime.utf8)
    }
}

/// The head of an INVOKE payload, 40 bytes; an ``EventBlock`` follows.
///
///     0   u32  attempt, from 1
///     4   u32  trigger: its place in INIT's list, 0xFFFF_FFFF for a direct invocation
///     8   u32  partition
///     12  u32  flags: 1 the delivery is part of a replay; others are to be ignored
///     16  i64  offset, -1 for a direct invocation
///     24  u64 u64  the invocation's id, 128 bits
public struct InvokeHead: Sendable, Equatable {
    public static let byteCount = 40
    public static let direct: UInt32 = 0xFFFF_FFFF

    public struct Flags: OptionSet, Sendable, Hashable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }
        /// The delivery is part of a replay.
        public static let replay = Flags(rawValue: 1)
    }

    public var attempt: UInt32
    public var trigger: UInt32
    public var partition: UInt32
    public var offset: Offset
    public var invocation: InvocationID
    public var flags: Flags

    public init(
        attempt: UInt32, trigger: UInt32, partition: UInt32, offset: Offset, invocation: InvocationID,
        flags: Flags = []
    ) {
        self.attempt = attempt
        self.trigger = trigger
        self.partition = partition
        self.offset = offset
        self.invocation = invocation
        self.flags = flags
    }

    public init(parsing bytes: RawSpan, at offset: Int = 0) throws(FrameError) {
        guard bytes.byteCount >= offset + InvokeHead.byteCount else { throw .truncated }
        self.attempt = bytes.littleEndian(at: offset, as: UInt32.self)
        self.trigger = bytes.littleEndian(at: offset + 4, as: UInt32.self)
        self.partition = bytes.littleEndian(at: offset + 8, as: UInt32.self)
        self.flags = Flags(rawValue: bytes.littleEndian(at: offset + 12, as: UInt32.self))
        self.offset = bytes.littleEndian(at: offset + 16, as: Int64.self)
        self.invocation = InvocationID(
            high: bytes.littleEndian(at: offset + 24, as: UInt64.self),
            low: bytes.littleEndian(at: offset + 32, as: UInt64.self)
        )
    }

    public func write(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: self.attempt.littleEndian, as: UInt32.self)
        target.storeBytes(of: self.trigger.littleEndian, toByteOffset: 4, as: UInt32.self)
        target.storeBytes(of: self.partition.littleEndian, toByteOffset: 8, as: UInt32.self)
        target.storeBytes(of: self.flags.rawValue.littleEndian, toByteOffset: 12, as: UInt32.self)
        target.storeBytes(of: self.offset.littleEndian, toByteOffset: 16, as: Int64.self)
        target.storeBytes(of: self.invocation.high.littleEndian, toByteOffset: 24, as: UInt64.self)
        target.storeBytes(of: self.invocation.low.littleEndian, toByteOffset: 32, as: UInt64.self)
    }
}

/// A BATCH payload: u32 count, u32 0, then for each item u64 stream, u32 length, u32 0, and as many bytes of invoke head and event
/// block. Each item is answered by an ITEM_RESULT on its own stream. With the flag `more` it has one item whose data goes on in
/// DATA frames of that item's stream.
public enum BatchPayload {
    public static let headBytes = 8
    public static let itemHeadBytes = 16
}

/// An ERROR payload, also that of ITEM_RESULT with the flag `failed`, and of CALL_RESULT behind its number.
///
///     0  u8  class   1  u8 1 where the batch as a whole failed, else 0   2  u16 length of the code   4  u32 length of the message   8  u32 length of the detail
///     12 u32 milliseconds until the next attempt, 0xFFFF_FFFF where the trigger's own backoff decides
///     16     code, message, detail (a stack trace), UTF-8
public struct ErrorPayload: Sendable, Equatable {
    public enum Class: UInt8, Sendable {
        /// The next attempt may go well.
        case retryable = 0
        /// The handler rejected the event: no further attempt.
        case permanent = 1
        /// The event could not even be given to the handler.
        case poison = 2
    }

    public static let headBytes = 16
    static let noDelay: UInt32 = 0xFFFF_FFFF

    public var kind: Class
    public var code: String
    public var message: String
    public var detail: String
    public var retryAfter: TimeSpan?
    /// The handler failed for its batch as a whole: which event is to blame is not known.
    public var isOfBatch: Bool

    public init(
        kind: Class, code: String, message: String, detail: String = "", retryAfter: TimeSpan? = nil,
        isOfBatch: Bool = false
    ) {
        self.isOfBatch = isOfBatch
        self.kind = kind
        self.code = code
        self.message = message
        self.detail = detail
        self.retryAfter = retryAfter
    }

    public init(parsing bytes: RawSpan) throws(FrameError) {
        guard bytes.byteCount >= ErrorPayload.headBytes else { throw .truncated }
        guard let kind = Class(rawValue: bytes.littleEndian(at: 0, as: UInt8.self)) else { throw .malformed }
        let scope = bytes.littleEndian(at: 1, as: UInt8.self)
        guard scope <= 1 else { throw .malformed }
        let code = Int(bytes.littleEndian(at: 2, as: UInt16.self))
        let message = Int(bytes.littleEndian(at: 4, as: UInt32.self))
        let detail = Int(bytes.littleEndian(at: 8, as: UInt32.self))
        let delay = bytes.littleEndian(at: 12, as: UInt32.self)
        guard message <= Limits.frameBytes, detail <= Limits.frameBytes,
            bytes.byteCount == ErrorPayload.headBytes + code + message + detail
        else { throw .malformed }
        let start = ErrorPayload.headBytes
        self.kind = kind
        self.isOfBatch = scope == 1
        self.code = String(decoding: copy(bytes, start..<start + code), as: UTF8.self)
        self.message = String(decoding: copy(bytes, start + code..<start + code + message), as: UTF8.self)
        self.detail = String(decoding: copy(bytes, start + code + message..<bytes.byteCount), as: UTF8.self)
        self.retryAfter = delay == ErrorPayload.noDelay ? nil : .milliseconds(Int64(delay))
    }

    public func append(to bytes: inout [UInt8]) {
        bytes.append(self.kind.rawValue)
        bytes.append(self.isOfBatch ? 1 : 0)
        bytes.appendLittleEndian(UInt16(self.code.utf8.count))
        bytes.appendLittleEndian(UInt32(self.message.utf8.count))
        bytes.appendLittleEndian(UInt32(self.detail.utf8.count))
        bytes.appendLittleEndian(self.retryAfter.map { UInt32(clamping: $0.milliseconds) } ?? ErrorPayload.noDelay)
        bytes.append(contentsOf: self.code.utf8)
        bytes.append(contentsOf: self.message.utf8)
        bytes.append(contentsOf: self.detail.utf8)
    }
}

/// PROGRESS: u64 done, u64 total (0 unknown), then the message.
public struct ProgressPayload: Sendable, Equatable {
    public var done: UInt64
    public var total: UInt64
    public var message: String

    public init(done: UInt64, total: UInt64, message: String) {
        self.done = done
        self.total = total
        self.message = message
    }

    public init(parsing bytes: RawSpan) throws(FrameError) {
        guard bytes.byteCount >= 16 else { throw .truncated }
        self.done = bytes.littleEndian(at: 0, as: UInt64.self)
        self.total = bytes.littleEndian(at: 8, as: UInt64.self)
        self.message = String(decoding: copy(bytes, 16..<bytes.byteCount), as: UTF8.self)
    }
}

/// LOG: u8 level, then the text. The stream says which attempt wrote it, 0 none.
public struct LogPayload: Sendable, Equatable {
    public enum Level: UInt8, Sendable, CaseIterable {
        case debug = 0, info = 1, warning = 2, error = 3, stdout = 4, stderr = 5
    }

    public var level: Level
    public var text: String

    public init(level: Level, text: String) {
        self.level = level
        self.text = text
    }

    public init(parsing bytes: RawSpan) throws(FrameError) {
        guard bytes.byteCount >= 1 else { throw .truncated }
        guard let level = Level(rawValue: bytes.littleEndian(at: 0, as: UInt8.self)) else { throw .malformed }
        self.level = level
        self.text = String(decoding: copy(bytes, 1..<bytes.byteCount), as: UTF8.self)
    }
}

/// EMIT: u16 length and name of the topic, then an ``EventBlock``, whose data may go on in DATA frames of the stream. It takes
/// effect when and only when the attempt succeeds, in one with its reply.
public struct EmitLayout: Sendable, Equatable {
    public let topic: Range<Int>
    public let block: Range<Int>

    public init(parsing bytes: RawSpan) throws(FrameError) {
        guard bytes.byteCount >= 2 else { throw .truncated }
        let count = Int(bytes.littleEndian(at: 0, as: UInt16.self))
        guard count > 0, count <= Limits.topicNameBytes, 2 + count <= bytes.byteCount else { throw .malformed }
        self.topic = 2..<2 + count
        self.block = 2 + count..<bytes.byteCount
    }
}
