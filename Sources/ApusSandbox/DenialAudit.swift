internal import ApusCore
internal import CShims
internal import Glibc

/// What the auditor wrote of denied calls: memory that this process can read, and nobody here can write. It is mapped once and
/// stays for the life of the process. Numbers in it are the auditor's, and each is held to its bound before it is used.
public final class DenialAudit: Sendable {
    private struct Call {
        var name: String
        var shown: UInt32
    }

    // SAFETY: the mapping is read-only and never unmapped; what another process changes in it is read by atomic loads or copied.
    nonisolated(unsafe) private let audit: UnsafePointer<nursery_audit>
    private let slots: UInt32
    private let calls: [Call]

    /// Takes the memory that came with the nursery's first report, and closes its descriptor.
    init?(_ descriptor: CInt) {
        defer { close(descriptor) }
        var status = stat()
        let head = MemoryLayout<nursery_audit>.size
        guard fstat(descriptor, &status) == 0, status.st_size >= head else { return nil }
        let memory = mmap(nil, Int(status.st_size), PROT_READ, MAP_SHARED, descriptor, 0)
        guard let memory, memory != MAP_FAILED else { return nil }
        let audit = UnsafeRawPointer(memory).assumingMemoryBound(to: nursery_audit.self)
        let room = (Int(status.st_size) - head) / MemoryLayout<nursery_audit_entry>.size
        guard audit.pointee.slot_count <= room, audit.pointee.call_count <= NURSERY_AUDIT_CALLS_MAX else { return nil }
        self.audit = audit
        self.slots = audit.pointee.slot_count
        self.calls = withUnsafeBytes(of: audit.pointee.calls) { bytes in
            bytes.bindMemory(to: nursery_audit_call.self).prefix(Int(audit.pointee.call_count)).map { call in
                Call(name: text(of: call.name), shown: call.shown)
            }
        }
    }

    /// Whether denied calls are counted now.
    public var isRunning: Bool { apus_audit_is_running(self.audit) != 0 }
    /// Auditors started so far.
    public var starts: UInt32 { apus_audit_starts(self.audit) }
    /// System calls whose refusal is reported.
    public var callNames: [String] { self.calls.map(\.name) }

    /// Nil for a slot that the nursery does not have.
    func source(slot: UInt32, ticket: UInt64) -> DenialSource? {
        guard slot < self.slots else { return nil }
        return DenialSource(
            total: { apus_audit_total(self.audit, slot, ticket) },
            report: {
                withUnsafeTemporaryAllocation(of: nursery_audit_entry.self, capacity: 1) { entry in
                    guard let base = entry.baseAddress, apus_audit_copy(self.audit, slot, ticket, base) != 0 else {
                        return DenialReport()
                    }
                    let count = Int(min(base.pointee.record_count, UInt32(NURSERY_AUDIT_RECORDS_MAX)))
                    return withUnsafeBytes(of: &base.pointee.records) { bytes in
                        self.report(
                            bytes.bindMemory(to: nursery_denial.self).prefix(count), others: base.pointee.others,
                            isSpent: base.pointee.is_spent != 0)
                    }
                }
            })
    }

    func report(_ records: some Sequence<nursery_denial>, others: UInt32, isSpent: Bool) -> DenialReport {
        DenialReport(
            records.map { record in
                guard self.calls.indices.contains(Int(record.call)) else {
                    return Denial("unknown", count: record.count)
                }
                let call = self.calls[Int(record.call)]
                let values = [record.arguments.0, record.arguments.1].prefix(call.shown.nonzeroBitCount)
                return Denial(
                    call.name, DeniedArguments.text(of: call.name, Array(values)), count: record.count)
            }, others: others, isSpent: isSpent)
    }
}
