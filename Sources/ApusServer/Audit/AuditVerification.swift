internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// Checks all of `apus.audit`. On a thread that may block.
struct AuditVerification {
    private(set) var records = 0
    private(set) var findings: [JSONValue] = []
    private(set) var omitted = 0

    init(_ log: any EventLog, _ keys: AuditKeys) throws(ApusError) {
        for partition in 0..<Limits.Audit.partitions {
            let place = TopicPartition(.audit, partition)
            let bounds = try log.bounds(of: place)
            var check = AuditCheck(keys)
            var offsets: [Int: Offset] = [:]
            try log.readAll(
                place, from: bounds.start, to: bounds.end, maxRecords: Limits.Audit.checkedPerRead,
                maxBytes: Limits.recordBytes
            ) { offset, block in
                let before = check.findings.count
                check.take((try? EventBlock.decode(block.bytes))?.data ?? [])
                for finding in check.findings[before...] {
                    if let record = finding.record { offsets[record] = offset }
                }
                return true
            }
            check.end()
            self.records += check.records
            self.omitted += check.omitted
            for finding in check.findings {
                var json: JSONValue = ["partition": .number(partition), "problem": .string(finding.problem)]
                if let offset = finding.record.flatMap({ offsets[$0] }) { json["offset"] = .number(offset) }
                self.findings.append(json)
            }
        }
    }

    var json: JSONValue {
        [
            "valid": .boolean(self.findings.isEmpty), "records": .number(self.records),
            "findings": .array(self.findings), "omitted": .number(self.omitted),
        ]
    }
}
