internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// An audit record as it was read, its own HMAC checked.
struct AuditRecord {
    let link: AuditLink
    let previous: String
    let kind: AuditEntry.Kind?
    let server: String
    /// What a start follows.
    let follows: AuditLink?
    /// Where checking starts, as an anchor says.
    let anchors: [AuditPlace]

    enum Fault: String, Error {
        case form = "it is no audit record"
        case key = "it is bound by a key that this server does not have"
        case mac = "it was changed, or somebody else wrote it"
    }

    /// `,"mac":"` + 64 digits + `"}`.
    private static let tail = Array(#","mac":""#.utf8)

    init(parsing bytes: [UInt8], _ keys: AuditKeys) throws(Fault) {
        let end = bytes.count - Self.tail.count - 2 * SHA256.byteCount - 2
        guard end > 0, bytes[end...].starts(with: Self.tail), let json = try? JSONValue.parse(bytes),
            let chain = json["chain"]?.string, let sequence = json["sequence"]?.integer, let mac = json["mac"]?.string,
            let previous = json["previous"]?.string, let key = json["key"]?.string, let server = json["server"]?.string
        else { throw .form }
        guard let expected = keys.mac(bytes[..<end], by: key) else { throw .key }
        guard let given = Hex.decode(mac), ConstantTime.areEqual(expected, given) else { throw .mac }
        self.link = AuditLink(chain: chain, sequence: sequence, mac: mac)
        self.previous = previous
        self.kind = json["kind"]?.string.flatMap(AuditEntry.Kind.init(rawValue:))
        self.server = server
        self.follows = json["link"].flatMap(Self.link)
        self.anchors = (json["anchors"]?.array ?? []).compactMap { json in
            guard let server = json["server"]?.string, let link = Self.link(json) else { return nil }
            return AuditPlace(server: server, link: link)
        }
    }

    private static func link(_ json: JSONValue) -> AuditLink? {
        guard let chain = json["chain"]?.string, let sequence = json["sequence"]?.integer, let mac = json["mac"]?.string
        else { return nil }
        return AuditLink(chain: chain, sequence: sequence, mac: mac)
    }
}
