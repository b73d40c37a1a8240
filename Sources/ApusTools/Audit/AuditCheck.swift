internal import ApusCore

/// Checks audit records in the order of the log: that each is genuine, that none is missing between two of one server, and that each
/// server's begin where they should. A machine that is given one record after the other and keeps none.
public struct AuditCheck: Sendable {
    public struct Finding: Sendable, Equatable {
        /// Which of the records that were given, counted from 0; nil for one that is missing.
        public var record: Int?
        public var problem: String
    }

    private struct Server {
        /// The first record here, and whether nothing can have been before it.
        var first: (record: Int, isBeginning: Bool)
        var last: AuditLink
        /// Of each chain what is here: genuine records that follow each other, and so all between the two.
        var chains: [String: ClosedRange<Int64>] = [:]
    }

    private let keys: AuditKeys
    private var servers: [String: Server] = [:]
    /// Where the newest anchor of each says that checking starts.
    private var anchors: [String: AuditLink] = [:]
    public private(set) var records = 0
    public private(set) var findings: [Finding] = []
    /// Findings beyond those that are listed.
    public private(set) var omitted = 0

    public init(_ keys: AuditKeys) { self.keys = keys }

    public mutating func take(_ bytes: [UInt8]) {
        do throws(AuditRecord.Fault) { self.take(try AuditRecord(parsing: bytes, self.keys)) } catch {
            self.find(self.records, error.rawValue)
        }
        self.records += 1
    }

    /// After the last record.
    public mutating func end() {
        for (name, server) in self.servers.sorted(by: { $0.key < $1.key }) {
            if let anchor = self.anchors[name] {
                if server.chains[anchor.chain]?.contains(anchor.sequence) != true {
                    self.find(nil, "the record of \(name) at which checking starts is missing")
                }
            } else if !server.first.isBeginning {
                self.find(
                    server.first.record,
                    "records of \(name) before it are missing, and no anchor says that they were let go")
            }
        }
    }

    private mutating func take(_ record: AuditRecord) {
        let isStart = record.kind == .start && record.link.sequence == 0
        var server =
            self.servers[record.server]
            ?? Server(first: (self.records, isStart && record.follows == nil), last: record.link)
        if self.servers[record.server] != nil, let problem = Self.problem(record, after: server.last, isStart) {
            self.find(self.records, problem)
        }
        server.last = record.link
        let range = server.chains[record.link.chain]
        server.chains[record.link.chain] =
            min(
                range?.lowerBound ?? record.link.sequence, record.link.sequence)...max(
                range?.upperBound ?? record.link.sequence, record.link.sequence)
        if record.kind == .anchor { for anchor in record.anchors { self.anchors[anchor.server] = anchor.link } }
        self.servers[record.server] = server
    }

    private static func problem(_ record: AuditRecord, after last: AuditLink, _ isStart: Bool) -> String? {
        if isStart {
            return record.follows == last
                ? nil : "it does not follow the last record of the chain before: records are missing"
        }
        let follows =
            record.link.chain == last.chain && record.link.sequence == last.sequence + 1 && record.previous == last.mac
        return follows ? nil : "it does not follow the record before it: records are missing or were moved"
    }

    private mutating func find(_ record: Int?, _ problem: String) {
        guard self.findings.count < Limits.Tools.auditFindings else {
            self.omitted += 1
            return
        }
        self.findings.append(Finding(record: record, problem: problem))
    }
}
