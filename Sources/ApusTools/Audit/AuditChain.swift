public import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// Where a chain has come to: what the next record is bound to.
public struct AuditLink: Sendable, Equatable {
    public var chain: String
    public var sequence: Int64
    public var mac: String

    public init(chain: String, sequence: Int64, mac: String) {
        self.chain = chain
        self.sequence = sequence
        self.mac = mac
    }
}

/// Makes audit records, each bound to the one before it. A machine.
///
/// A record is one line of JSON whose last member, `mac`, is an HMAC over all that stands before it, the `mac` of the record before
/// among it. A chain begins when a server does; its first record names the last one of the chain before.
public struct AuditChain: Sendable {
    private let keys: AuditKeys
    private let server: String
    public private(set) var last: AuditLink

    /// - Parameters:
    ///   - chain: a name that no other chain has.
    ///   - before: the last record of this server that the log holds.
    public init(_ keys: AuditKeys, server: String, chain: String, after before: AuditLink?) {
        self.keys = keys
        self.server = server
        self.last = AuditLink(chain: chain, sequence: -1, mac: "")
        self.before = before
    }

    private let before: AuditLink?

    /// The first record of the chain, that comes before all others.
    public mutating func start(now: Timestamp) -> [UInt8] {
        precondition(self.last.sequence < 0, "a chain starts once")
        let entry = AuditEntry(.start, .allowed, namespace: .default, principal: self.server, subject: self.server)
        return self.append(entry, link: self.before, anchors: [], now: now)
    }

    /// The record of an entry.
    public mutating func append(_ entry: AuditEntry, now: Timestamp) -> [UInt8] {
        self.append(entry, link: nil, anchors: [], now: now)
    }

    /// That checking starts at these places from now on, of the server each.
    public mutating func anchor(_ anchors: [AuditPlace], now: Timestamp) -> [UInt8] {
        let entry = AuditEntry(.anchor, .allowed, namespace: .default, principal: self.server, subject: self.server)
        return self.append(entry, link: nil, anchors: anchors, now: now)
    }

    /// Room for the record of a call.
    private static let usualBytes = 1_024

    private mutating func append(
        _ entry: AuditEntry, link: AuditLink?, anchors: [AuditPlace], now: Timestamp
    ) -> [UInt8] {
        let sequence = self.last.sequence + 1
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.usualBytes)
        bytes.append(contentsOf: #"{"sequence":"#.utf8)
        bytes.append(contentsOf: sequence.description.utf8)
        bytes.append(contentsOf: #","chain":""#.utf8)
        bytes.append(contentsOf: self.last.chain.utf8)
        bytes.append(contentsOf: #"","at":""#.utf8)
        RFC3339.append(now, to: &bytes)
        bytes.append(UInt8(ascii: "\""))
        bytes.append(contentsOf: #","server":"#.utf8)
        JSONText.append(self.server, to: &bytes)
        entry.write(into: &bytes)
        if let link {
            bytes.append(contentsOf: #","link":{"#.utf8)
            Self.write(link, into: &bytes)
            bytes.append(UInt8(ascii: "}"))
        }
        for (index, anchor) in anchors.enumerated() {
            bytes.append(contentsOf: (index == 0 ? #","anchors":[{"server":"# : #",{"server":"#).utf8)
            JSONText.append(anchor.server, to: &bytes)
            bytes.append(UInt8(ascii: ","))
            Self.write(anchor.link, into: &bytes)
            bytes.append(contentsOf: (index == anchors.count - 1 ? "}]" : "}").utf8)
        }
        bytes.append(contentsOf: #","previous":""#.utf8)
        bytes.append(contentsOf: self.last.mac.utf8)
        bytes.append(contentsOf: #"","key":""#.utf8)
        bytes.append(contentsOf: self.keys.newest.utf8)
        bytes.append(UInt8(ascii: "\""))
        guard let mac = self.keys.mac(bytes, by: self.keys.newest) else {
            preconditionFailure("the newest key is there")
        }
        let text = Hex.encode(mac)
        bytes.append(contentsOf: #","mac":""#.utf8)
        bytes.append(contentsOf: text.utf8)
        bytes.append(contentsOf: #""}"#.utf8)
        self.last = AuditLink(chain: self.last.chain, sequence: sequence, mac: text)
        return bytes
    }

    private static func write(_ link: AuditLink, into bytes: inout [UInt8]) {
        bytes.append(contentsOf: #""chain":"#.utf8)
        JSONText.append(link.chain, to: &bytes)
        bytes.append(contentsOf: #","sequence":\#(link.sequence),"mac":"#.utf8)
        JSONText.append(link.mac, to: &bytes)
    }
}
