internal import ApusCrypto

/// Which server a record is of, and its link.
public struct AuditPlace: Sendable, Equatable {
    public var server: String
    public var link: AuditLink

    public init(server: String, link: AuditLink) {
        self.server = server
        self.link = link
    }
}

/// The keys that audit records are bound by: made of the master keys, so that whoever can write to the log cannot make a record.
public struct AuditKeys: Sendable {
    private let keys: [(id: String, bytes: [UInt8])]

    /// - Parameter keys: the oldest first; the last one binds. At least one.
    public init(_ keys: [(id: String, bytes: [UInt8])]) {
        precondition(!keys.isEmpty, "an audit without a key proves nothing")
        self.keys = keys
    }

    var newest: String { self.keys[self.keys.count - 1].id }

    /// Where a record stands in its chain; nil for what is no genuine one.
    public func place(of bytes: [UInt8]) -> AuditPlace? {
        guard let record = try? AuditRecord(parsing: bytes, self) else { return nil }
        return AuditPlace(server: record.server, link: record.link)
    }

    /// - Returns: nil for a key that is not here.
    func mac(_ body: some Collection<UInt8>, by id: String) -> [UInt8]? {
        self.keys.last { $0.id == id }.map { HMAC.sha256(Array(body), key: $0.bytes) }
    }
}
