public import ApusCore

/// What the server tells the egress process: one packet each, with the descriptors that belong to it.
public enum EgressOrder: Sendable, Equatable {
    /// First of all. With a memory file of certificate authorities beside the host's, where there are such.
    case start(EgressSettings)
    /// A worker with a way out: its listening socket comes with it, and a memory file with the values that are injected, where some are.
    case open(lease: UInt64, NetworkAccess)
    /// It ended.
    case close(lease: UInt64)
}

/// What became of one connection, as the egress process tells the server.
public struct EgressRecord: Sendable, Equatable {
    public enum Verdict: UInt8, Sendable {
        case allowed = 1
        /// Denied, by the policy or as malformed.
        case refused = 2
        /// Allowed, and yet not connected.
        case failed = 3
        /// An allowed one ended.
        case closed = 4
    }

    public var lease: UInt64
    public var verdict: Verdict
    /// `host:port`; empty where none could be read.
    public var target = ""
    public var address = ""
    public var reason: EgressRefusal.Reason?
    public var message = ""
    /// Names of the headers that were injected.
    public var injected: [String] = []
    public var sent: UInt64 = 0
    public var received: UInt64 = 0
    /// Records of this worker that were dropped before.
    public var dropped: UInt32 = 0
}

extension EgressOrder {
    private enum Kind: UInt8 { case start = 1, open, close }

    public func encoded() -> [UInt8] {
        var writer = PacketWriter()
        switch self {
        case .start(let settings):
            writer.add(Kind.start.rawValue)
            writer.add(settings.connectionBytes)
            writer.add(settings.workerBytesPerHour)
            writer.add(settings.totalBytesPerHour)
            writer.add(UInt64(clamping: settings.idle.microseconds))
            writer.add(UInt64(clamping: settings.longest.microseconds))
            writer.add(settings.allowPrivate.map(\.description))
        case .open(let lease, let access):
            writer.add(Kind.open.rawValue)
            writer.add(lease)
            writer.add(access.allow.map(\.description))
            writer.add(UInt16(access.inject.count))
            for injection in access.inject {
                writer.add([injection.target.description, injection.header, injection.secret, injection.prefix])
                writer.add(injection.paths)
                writer.add(injection.methods)
            }
        case .close(let lease):
            writer.add(Kind.close.rawValue)
            writer.add(lease)
        }
        return writer.bytes
    }

    /// - Returns: nil for what this release does not say.
    public init?(_ bytes: [UInt8]) {
        var reader = PacketReader(bytes)
        guard let kind = reader.byte().flatMap({ Kind(rawValue: $0) }) else { return nil }
        switch kind {
        case .start:
            guard let connection = reader.long(), let worker = reader.long(), let total = reader.long(),
                let idle = reader.long(), let longest = reader.long(), let texts = reader.texts()
            else { return nil }
            var settings = EgressSettings()
            settings.connectionBytes = connection
            settings.workerBytesPerHour = worker
            settings.totalBytesPerHour = total
            settings.idle = .microseconds(Int64(clamping: idle))
            settings.longest = .microseconds(Int64(clamping: longest))
            settings.allowPrivate = texts.compactMap { AddressException($0) }
            guard settings.allowPrivate.count == texts.count else { return nil }
            self = .start(settings)
        case .open:
            guard let lease = reader.long(), let texts = reader.texts(), let count = reader.short() else { return nil }
            var access = NetworkAccess(allow: texts.compactMap { try? NetworkRule($0) })
            guard access.allow.count == texts.count, Int(count) <= Limits.Network.injections else { return nil }
            for _ in 0..<count {
                guard let fields = reader.texts(), fields.count == 4, let target = try? NetworkTarget(fields[0]),
                    let paths = reader.texts(), let methods = reader.texts()
                else { return nil }
                access.inject.append(
                    HeaderInjection(
                        target: target, header: fields[1], secret: fields[2], prefix: fields[3], paths: paths,
                        methods: methods))
            }
            self = .open(lease: lease, access)
        case .close:
            guard let lease = reader.long() else { return nil }
            self = .close(lease: lease)
        }
        guard reader.isAtEnd else { return nil }
    }
}

extension EgressRecord {
    public func encoded() -> [UInt8] {
        var writer = PacketWriter()
        writer.add(self.verdict.rawValue)
        writer.add(self.lease)
        writer.add(self.sent)
        writer.add(self.received)
        writer.add(UInt64(self.dropped))
        writer.add([self.target, self.address, self.reason?.rawValue ?? "", self.message])
        writer.add(self.injected)
        return writer.bytes
    }

    public init?(_ bytes: [UInt8]) {
        var reader = PacketReader(bytes)
        guard let verdict = reader.byte().flatMap({ Verdict(rawValue: $0) }), let lease = reader.long(),
            let sent = reader.long(), let received = reader.long(), let dropped = reader.long(),
            let texts = reader.texts(), texts.count == 4, let injected = reader.texts(), reader.isAtEnd
        else { return nil }
        self.init(
            lease: lease, verdict: verdict, target: texts[0], address: texts[1],
            reason: EgressRefusal.Reason(rawValue: texts[2]), message: texts[3], injected: injected, sent: sent,
            received: received, dropped: UInt32(clamping: dropped))
    }
}

/// The values of headers that go out, in the order of the injections: in a memory file, never in a packet.
public enum InjectedValues {
    public static func encoded(_ values: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for value in values {
            bytes.appendLittleEndian(UInt32(value.count))
            bytes += value
        }
        return bytes
    }

    public static func decoded(_ bytes: [UInt8]) -> [[UInt8]]? {
        var values: [[UInt8]] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard rest.count >= 4 else { return nil }
            let head = Array(rest.prefix(4))
            let count = Int(head[0]) | Int(head[1]) << 8 | Int(head[2]) << 16 | Int(head[3]) << 24
            rest = rest.dropFirst(4)
            guard count <= rest.count, count <= Limits.Egress.secretBytes else { return nil }
            values.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        return values
    }

    /// Whether a secret can be the value of a header as it is: nothing in it ends a line.
    public static func isUsable(_ value: some Sequence<UInt8>) -> Bool {
        var count = 0
        for byte in value {
            guard byte >= 0x20 && byte != 0x7F || byte == 0x09 else { return false }
            count += 1
        }
        return (1...Limits.Egress.secretBytes).contains(count)
    }
}

private struct PacketWriter {
    var bytes: [UInt8] = []

    mutating func add(_ byte: UInt8) { self.bytes.append(byte) }
    mutating func add(_ number: UInt16) { self.bytes.appendLittleEndian(number) }
    mutating func add(_ number: UInt64) { self.bytes.appendLittleEndian(number) }
    mutating func add(_ texts: [String]) {
        self.add(UInt16(texts.count))
        for text in texts {
            self.add(UInt16(text.utf8.count))
            self.bytes += text.utf8
        }
    }
}

private struct PacketReader {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { self.rest = bytes[...] }

    var isAtEnd: Bool { self.rest.isEmpty }
    mutating func byte() -> UInt8? { self.rest.popFirst() }
    mutating func short() -> UInt16? { self.number(2).map { UInt16($0) } }
    mutating func long() -> UInt64? { self.number(8) }

    private mutating func number(_ size: Int) -> UInt64? {
        guard self.rest.count >= size else { return nil }
        defer { self.rest = self.rest.dropFirst(size) }
        return self.rest.prefix(size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    mutating func texts() -> [String]? {
        guard let count = self.short() else { return nil }
        var texts: [String] = []
        for _ in 0..<count {
            guard let size = self.short(), self.rest.count >= Int(size) else { return nil }
            texts.append(String(decoding: self.rest.prefix(Int(size)), as: UTF8.self))
            self.rest = self.rest.dropFirst(Int(size))
        }
        return texts
    }
}
