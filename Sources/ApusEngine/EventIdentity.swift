public import ApusCore

/// What an event and its repetitions have in common: a digest of source and id, made by the host.
public struct EventIdentity: Sendable, Hashable {
    public static let byteCount = 32

    private var first: UInt64
    private var second: UInt64
    private var third: UInt64
    private var fourth: UInt64

    /// - Returns: nil when these are not ``byteCount`` bytes.
    public init?(_ digest: [UInt8]) {
        guard digest.count == Self.byteCount else { return nil }
        let bytes = digest.span.bytes
        self.first = bytes.littleEndian(at: 0, as: UInt64.self)
        self.second = bytes.littleEndian(at: 8, as: UInt64.self)
        self.third = bytes.littleEndian(at: 16, as: UInt64.self)
        self.fourth = bytes.littleEndian(at: 24, as: UInt64.self)
    }

    public var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        for part in [self.first, self.second, self.third, self.fourth] { bytes.appendLittleEndian(part) }
        return bytes
    }
}

/// An event that has its outcome, as its repetitions are recognised by.
public struct RememberedEvent: Sendable, Hashable {
    public var identity: EventIdentity
    public var offset: Offset
    public var appended: Timestamp
    /// For how long.
    public var window: TimeSpan

    public init(identity: EventIdentity, offset: Offset, appended: Timestamp, window: TimeSpan) {
        self.identity = identity
        self.offset = offset
        self.appended = appended
        self.window = window
    }
}
