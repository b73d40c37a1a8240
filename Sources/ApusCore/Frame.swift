/// What is wrong with bytes that claimed to be a frame. Any of these costs the worker its life, never the server.
public enum FrameError: Error, Equatable, Sendable {
    /// The length in a header is over ``Limits/frameBytes``, or a part is over its own bound.
    case tooLarge
    /// A type that no version in the window knows.
    case unknownType(UInt8)
    case wrongVersion(UInt16)
    /// The payload ends before what its lengths announce.
    case truncated
    /// Lengths or values contradict each other.
    case malformed
    /// A known frame at a moment, in a direction or on a stream where it may not come.
    case unexpected(FrameType)
}

/// The kinds of frames of the worker protocol, documented in `docs/worker-protocol.md`.
public enum FrameType: UInt8, Sendable, CaseIterable {
    // Session.
    case hello = 1
    case initialize = 2
    case ready = 3
    case credit = 4
    case drain = 5
    case ping = 6
    case bye = 7
    case sleep = 8
    case wake = 9
    // Work.
    case invoke = 16
    case batch = 17
    case data = 18
    case result = 19
    case error = 20
    case itemResult = 21
    case cancel = 22
    // What a handler does while it runs.
    case progress = 32
    case log = 33
    case emit = 34
    case call = 35
    case callResult = 36
    case inputRequest = 37
    case input = 38
    // The zygote of a function whose calls share a sandbox.
    case fork = 48
    case forked = 49
    case ended = 50
    case kill = 51
}

/// Flags of a frame. Which flag may stand on which type is part of `docs/worker-protocol.md`.
public struct FrameFlags: OptionSet, Sendable, Hashable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The data goes on in DATA frames of the same stream; the last of them lacks this flag.
    public static let more = FrameFlags(rawValue: 1)
    /// RESULT: each DATA frame is a part that the handler yielded, to be passed on as it comes.
    public static let stream = FrameFlags(rawValue: 2)
    /// INVOKE: a record of a table; its result is ignored.
    public static let table = FrameFlags(rawValue: 4)
    /// INVOKE: the data is in a sealed memory descriptor that came on descriptor 5 under this stream.
    public static let descriptor = FrameFlags(rawValue: 8)
    /// ITEM_RESULT, CALL_RESULT: the payload is an error.
    public static let failed = FrameFlags(rawValue: 16)
    /// PING: this answers one.
    public static let answer = FrameFlags(rawValue: 32)
}

/// The fixed head of every frame, 24 bytes, little-endian.
///
///     0   u32  length of the payload
///     4   u8   type
///     5   u8   flags
///     6   u16  version of the protocol
///     8   u64  stream: the attempt it belongs to, 0 for the session
///     16  i64  deadline, microseconds since 1970, 0 for none
public struct FrameHeader: Sendable, Equatable {
    public static let byteCount = 24
    public static let version: UInt16 = 1
    public static let payloadBytesMax = Limits.frameBytes - FrameHeader.byteCount

    public var length: Int
    public var type: FrameType
    public var flags: FrameFlags
    public var stream: UInt64
    public var deadline: Timestamp

    public init(
        _ type: FrameType, flags: FrameFlags = [], stream: UInt64 = 0, deadline: Timestamp = .zero, length: Int = 0
    ) {
        self.type = type
        self.flags = flags
        self.stream = stream
        self.deadline = deadline
        self.length = length
    }

    /// Reads the header at `offset`, where at least ``byteCount`` bytes must be.
    public init(parsing bytes: RawSpan, at offset: Int = 0) throws(FrameError) {
        let length = bytes.littleEndian(at: offset, as: UInt32.self)
        let type = bytes.littleEndian(at: offset + 4, as: UInt8.self)
        let flags = bytes.littleEndian(at: offset + 5, as: UInt8.self)
        let version = bytes.littleEndian(at: offset + 6, as: UInt16.self)
        guard version == FrameHeader.version else { throw .wrongVersion(version) }
        guard length <= UInt32(FrameHeader.payloadBytesMax) else { throw .tooLarge }
        guard let type = FrameType(rawValue: type) else { throw .unknownType(type) }
        guard flags < 64 else { throw .malformed }
        self.length = Int(length)
        self.type = type
        self.flags = FrameFlags(rawValue: flags)
        self.stream = bytes.littleEndian(at: offset + 8, as: UInt64.self)
        self.deadline = Timestamp(microseconds: bytes.littleEndian(at: offset + 16, as: Int64.self))
    }

    public func write(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: UInt32(self.length).littleEndian, as: UInt32.self)
        target.storeBytes(of: self.type.rawValue, toByteOffset: 4, as: UInt8.self)
        target.storeBytes(of: self.flags.rawValue, toByteOffset: 5, as: UInt8.self)
        target.storeBytes(of: FrameHeader.version.littleEndian, toByteOffset: 6, as: UInt16.self)
        target.storeBytes(of: self.stream.littleEndian, toByteOffset: 8, as: UInt64.self)
        target.storeBytes(of: self.deadline.microseconds.littleEndian, toByteOffset: 16, as: Int64.self)
    }

    public func append(to bytes: inout [UInt8]) {
        withUnsafeTemporaryAllocation(byteCount: FrameHeader.byteCount, alignment: 8) { head in
            guard let base = head.baseAddress else { return }
            self.write(to: base)
            bytes.append(contentsOf: head)
        }
    }
}
