public import ApusCore

extension Catalogue {
    /// The approvals of a namespace, the newest first.
    public func approvals(in namespace: Namespace) -> [Approval] {
        self.approvals.values.filter { $0.namespace == namespace }
            .sorted { ($1.created, $1.id) < ($0.created, $0.id) }
    }

    public func approval(_ id: ApprovalID) -> Approval? { self.approvals[id] }

    /// - Throws: `not_found`.
    public func approval(_ id: ApprovalID, in namespace: Namespace) throws(ApusError) -> Approval {
        guard let approval = self.approvals[id], approval.namespace == namespace else {
            throw ApusError(.notFound, "there is no approval '\(id)' any more, or none yet: see `apus approvals list`")
        }
        return approval
    }

    /// What was decided, or is to be decided, about the very call with this binding.
    public func openApproval(_ binding: String, now: Timestamp) -> Approval? {
        self.openApprovals[binding].flatMap { self.approvals[$0] }.flatMap { $0.isOpen(now: now) ? $0 : nil }
    }

    /// The approval that the very call with this binding used up last, while it would have held.
    public func usedApproval(_ binding: String, now: Timestamp) -> Approval? {
        var last: (approval: Approval, time: Timestamp)?
        for approval in self.approvals.values where approval.request.binding == binding && now < approval.expires {
            guard case .consumed(_, let time) = approval.state, time > last?.time ?? .zero else { continue }
            last = (approval, time)
        }
        return last?.approval
    }

    /// Those that are over counted.
    public var approvalCount: Int { self.approvals.count }

    /// Those that wait for somebody, of all namespaces.
    public func waitingApprovals(now: Timestamp) -> Int {
        self.approvals.values.count { $0.name(now: now) == .waiting }
    }

    /// Those that a sweep would write down as expired, and those that it would forget.
    public func dueApprovals(now: Timestamp) -> (expired: [Approval], forgotten: [Approval]) {
        var (expired, forgotten): ([Approval], [Approval]) = ([], [])
        for approval in self.approvals.values where now >= approval.expires {
            switch approval.state {
            case .waiting, .accepted: expired.append(approval)
            // Not before its time is over: until then its record keeps an older one of the same id from counting.
            case .declined, .consumed, .expired:
                if now >= approval.expires + Limits.Approvals.kept { forgotten.append(approval) }
            }
        }
        return (expired.sorted { $0.expires < $1.expires }, forgotten.sorted { $0.expires < $1.expires })
    }

    mutating func applyApproval(_ record: ControlRecord) throws(ApusError) -> Change {
        guard let id = ApprovalID(record.name) else {
            throw ApusError(.logDamaged, "the record '\(record.key)' of apus.control contradicts itself")
        }
        let known = self.approvals[id]
        guard case .approval(let approval) = record.content else {
            self.set(nil, for: id, was: known)
            return .none
        }
        guard approval.id == id, approval.namespace == record.namespace else {
            throw ApusError(.logDamaged, "the record '\(record.key)' of apus.control contradicts itself")
        }
        guard approval.generation > known?.generation ?? 0 else { return .none }
        self.set(approval, for: id, was: known)
        return .approvalChanged(id)
    }

    private mutating func set(_ approval: Approval?, for id: ApprovalID, was known: Approval?) {
        if let known, self.openApprovals[known.request.binding] == id {
            self.openApprovals[known.request.binding] = nil
        }
        self.approvals[id] = approval
        guard let approval, approval.generation < 3 else { return }
        self.openApprovals[approval.request.binding] = id
    }
}
