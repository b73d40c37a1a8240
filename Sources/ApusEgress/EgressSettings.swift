public import ApusCore

/// What whoever runs the machine says about egress; no manifest can.
public struct EgressSettings: Sendable, Equatable {
    /// Addresses that are not open to everyone and may yet be connected to, by functions whose manifest names their host.
    public var allowPrivate: [AddressException] = []
    /// Both directions of one connection together.
    public var connectionBytes: UInt64 = 1 << 30
    /// All connections of one worker in an hour.
    public var workerBytesPerHour: UInt64 = 16 << 30
    /// All workers in an hour.
    public var totalBytesPerHour: UInt64 = 256 << 30
    /// How long a connection may carry nothing.
    public var idle: TimeSpan = .seconds(300)
    /// How long it may last.
    public var longest: TimeSpan = .seconds(3_600)

    public init() {}

    /// Whether an address may be connected to: it is open to everyone, or an exception.
    public func admits(_ address: IPAddress, port: UInt16) -> Bool {
        address.kind == .open || self.allowPrivate.contains { $0.covers(address, port: port) }
    }
}

/// An address or a range, with one port or all: `127.0.0.1:9000`, `10.0.0.0/8`, `[fd00::1]:443`.
public struct AddressException: Sendable, Hashable, CustomStringConvertible {
    public let range: AddressRange
    public let port: UInt16?

    public init?(_ text: String) {
        var range = text[...]
        var port: Substring?
        if text.hasPrefix("[") {
            guard let end = text.lastIndex(of: "]") else { return nil }
            range = text[text.index(after: text.startIndex)..<end]
            let rest = text[text.index(after: end)...]
            guard rest.isEmpty || rest.hasPrefix(":") else { return nil }
            port = rest.isEmpty ? nil : rest.dropFirst()
        } else if let colon = text.firstIndex(of: ":"), colon == text.lastIndex(of: ":") {
            range = text[..<colon]
            port = text[text.index(after: colon)...]
        }
        guard let parsed = AddressRange(range) else { return nil }
        self.range = parsed
        if let port {
            guard let number = UInt16(port), number > 0, String(number) == port else { return nil }
            self.port = number
        } else {
            self.port = nil
        }
    }

    func covers(_ address: IPAddress, port: UInt16) -> Bool {
        (self.port == nil || self.port == port) && self.range.contains(address)
    }

    public var description: String {
        let isV4 = self.range.first.isV4
        return self.port.map { isV4 ? "\(self.range):\($0)" : "[\(self.range)]:\($0)" } ?? "\(self.range)"
    }
}

/// Bytes that may pass in an hour.
struct ByteWindow {
    let most: UInt64
    private var since: Timestamp
    private var used: UInt64 = 0

    init(most: UInt64, now: Timestamp) {
        self.most = most
        self.since = now
    }

    /// - Returns: false once more has passed than may.
    mutating func count(_ bytes: Int, now: Timestamp) -> Bool {
        if now - self.since >= .seconds(3_600) {
            self.since = now
            self.used = 0
        }
        self.used += UInt64(bytes)
        return self.used <= self.most
    }
}

/// Records of one worker in a second.
struct RecordBudget {
    private var second: Int64 = 0
    private var count = 0
    private var dropped: UInt32 = 0

    /// - Returns: how many were dropped before this one; nil when this one is, too.
    mutating func admit(now: Timestamp) -> UInt32? {
        let second = now.microseconds / 1_000_000
        if second != self.second {
            self.second = second
            self.count = 0
        }
        guard self.count < Limits.Egress.recordsPerSecond else {
            self.dropped &+= 1
            return nil
        }
        self.count += 1
        defer { self.dropped = 0 }
        return self.dropped
    }

    /// The record that was admitted did not reach anybody.
    mutating func lost(_ before: UInt32) { self.dropped &+= before &+ 1 }
}
