public import ApusCore
internal import ApusManifest

/// Approvals: asking for one, deciding it, beginning the call once, and letting go of those whose time is over.
extension ControlDecider {
    /// A call that needs an approval wants to begin.
    ///
    /// What comes of it is the outcome's action: `consumed` for the one call that may begin now, `created` for one that begins to wait,
    /// `unchanged` and `declined` for one that was known. With the id of an approval that is kept already it is about that one alone.
    func claimApproval(_ id: ApprovalID, _ request: ApprovalRequest) throws(ApusError) -> ControlDecision {
        if let own = self.catalogue.approvals[id], own.request.binding == request.binding {
            guard case .accepted(let decision) = own.state, own.isOpen(now: self.now) else {
                return ControlDecision(outcomes: [self.outcome(own, .unchanged)])
            }
            return self.change(own, to: .consumed(decision, at: self.now), .consumed)
        }
        if let known = self.catalogue.openApproval(request.binding, now: self.now) {
            switch known.state {
            case .accepted(let decision):
                return self.change(known, to: .consumed(decision, at: self.now), .consumed)
            case .declined: return ControlDecision(outcomes: [self.outcome(known, .declined)])
            case .waiting, .consumed, .expired: return ControlDecision(outcomes: [self.outcome(known, .unchanged)])
            }
        }
        guard self.catalogue.approvals[id] == nil else {
            throw ApusError(.conflict, "the approval '\(id)' is another call's: try again")
        }
        try self.checkRoom(for: request)
        let approval = Approval(
            id: id, request: request, created: self.now, expires: self.now + Limits.Approvals.time)
        return ControlDecision(records: [approval.record], outcomes: [self.outcome(approval, .created)])
    }

    private func checkRoom(for request: ApprovalRequest) throws(ApusError) {
        guard request.arguments.utf8.count <= Limits.Approvals.argumentsBytes else {
            throw ApusError(
                .limitReached,
                "the arguments have more than \(Limits.Approvals.argumentsBytes) bytes, which nobody can look at before they decide"
            )
        }
        guard self.catalogue.approvals.count < Limits.Approvals.onOneLog else {
            throw ApusError(.limitReached, "\(Limits.Approvals.onOneLog) approvals are kept, no more are possible for now")
        }
        var (ofNamespace, ofPrincipal) = (0, 0)
        for approval in self.catalogue.approvals.values where approval.name(now: self.now) == .waiting {
            guard approval.namespace == request.function.namespace else { continue }
            ofNamespace += 1
            if approval.request.principal == request.principal { ofPrincipal += 1 }
        }
        guard ofPrincipal < Limits.Approvals.waitingPerPrincipal else {
            throw ApusError(
                .limitReached,
                "\(ofPrincipal) calls of '\(request.principal)' wait for approval already: have some decided first")
        }
        guard ofNamespace < Limits.Approvals.waitingPerNamespace else {
            throw ApusError(
                .limitReached,
                "\(ofNamespace) calls wait for approval in '\(request.function.namespace)' already: have some decided first")
        }
    }

    func decideApproval(
        _ id: ApprovalID, _ namespace: Namespace, _ verdict: ApprovalVerdict
    ) throws(ApusError) -> ControlDecision {
        let approval = try self.catalogue.approval(id, in: namespace)
        try approval.checkDecider(verdict.principal)
        guard approval.name(now: self.now) == .waiting else {
            throw ApusError(
                .conflict, "the approval '\(id)' is \(approval.name(now: self.now).rawValue) already")
        }
        let decision = Approval.Decision(
            principal: verdict.principal, time: self.now,
            reason: verdict.reason.map { String($0.prefix(Limits.Approvals.reasonCharacters)) })
        return verdict.isAccepted
            ? self.change(approval, to: .accepted(decision), .accepted)
            : self.change(approval, to: .declined(decision), .declined)
    }

    /// A bounded number of those whose time is over: written down, then, after a while, forgotten.
    func sweepApprovals() -> ControlDecision {
        let due = self.catalogue.dueApprovals(now: self.now)
        var decision = ControlDecision()
        for approval in due.expired.prefix(Limits.Approvals.perSweep) {
            let one = self.change(approval, to: .expired(approval.decision, at: self.now), .expired)
            decision.records += one.records
            decision.outcomes += one.outcomes
        }
        for approval in due.forgotten.prefix(Limits.Approvals.perSweep - decision.records.count) {
            decision.records.append(
                ControlRecord(
                    kind: .approval, namespace: approval.namespace, name: approval.id.description,
                    generation: Approval.forgottenGeneration, time: self.now, content: .deleted))
            decision.outcomes.append(self.outcome(approval, .deleted))
        }
        return decision
    }

    private func change(
        _ approval: Approval, to state: Approval.State, _ action: ControlDecision.Outcome.Action
    ) -> ControlDecision {
        var approval = approval
        approval.state = state
        return ControlDecision(records: [approval.record], outcomes: [self.outcome(approval, action)])
    }

    private func outcome(_ approval: Approval, _ action: ControlDecision.Outcome.Action) -> ControlDecision.Outcome {
        ControlDecision.Outcome(
            kind: .approval, namespace: approval.namespace, name: approval.id.description, action: action,
            generation: approval.generation)
    }
}

extension Approval {
    /// - Throws: `forbidden` for whoever asked, where somebody else is to decide.
    public func checkDecider(_ principal: String) throws(ApusError) {
        guard self.request.by == .approver, principal == self.request.principal else { return }
        throw ApusError(
            .forbidden,
            "'\(principal)' made this call and may not decide about it: another principal with the role approver does")
    }
}
