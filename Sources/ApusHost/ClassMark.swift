public import ApusCore

/// Which class a partition of a trigger was handed to last, as the ledger says it: the class that let it go writes it, or the one that took
/// it from nodes that are gone.
public struct ClassMark: Sendable, Hashable {
    /// The function's generation that moved it.
    public var since: UInt64
    public var workClass: WorkClass

    public init(since: UInt64, workClass: WorkClass) {
        self.since = since
        self.workClass = workClass
    }

    /// Its key, beside that of the partition's position.
    public static func key(prefix: [UInt8], partition: Int) -> [UInt8] {
        Self.prefix(prefix) + Array(String(partition).utf8)
    }

    /// What the keys of all partitions of a trigger begin with.
    static func prefix(_ prefix: [UInt8]) -> [UInt8] { prefix + Array("class/".utf8) }

    public var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(self.since)
        return bytes + Array(self.workClass.name.utf8)
    }

    public init?(decoding bytes: [UInt8]) {
        guard bytes.count > 8, let text = String(validating: bytes[8...], as: UTF8.self), let name = WorkClass(text)
        else { return nil }
        self.init(since: bytes.span.bytes.littleEndian(at: 0, as: UInt64.self), workClass: name)
    }

    /// Who may decide about a partition, by what the ledger says and what is deployed as far as this node knows.
    public enum Holder: Sendable, Hashable {
        /// The class that the function has.
        case own
        /// This class, until it lets go or is fenced.
        case former(WorkClass)
        /// A class that this node has not heard of yet: what it knows of the function is old.
        case later
    }

    public static func holder(_ mark: ClassMark?, of workClass: WorkClass, _ move: ClassMove?) -> Holder {
        let since = move?.since ?? 0
        let former: WorkClass
        if let mark {
            if mark.since == since { return .own }
            if mark.since > since { return .later }
            former = mark.workClass
        } else {
            guard let move else { return .own }
            former = move.first
        }
        // Whoever holds the share held it then.
        return former == workClass ? .own : .former(former)
    }
}
