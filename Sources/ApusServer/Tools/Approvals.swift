internal import ApusCore
internal import ApusCrypto
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import ApusTools
internal import Synchronization

/// Asks the one who decides about approvals, and keeps what was decided in the audit. From any thread.
///
/// An approval that the client's own person gives lies in the sealed state of the request, and here only that the state was used; every
/// other one is a record of `apus.control`.
final class Approvals: Sendable {
    /// What happened to an approval, as the audit's `code` and the metrics name it.
    enum Event: String, CaseIterable { case requested, accepted, declined, consumed, expired }

    private let counts = Mutex<[Event: Int64]>([:])
    private let control: Control
    private let audit: AuditJournal
    private let log: any EventLog
    private let clock = SystemClock()

    init(control: Control, audit: AuditJournal, log: any EventLog) {
        self.control = control
        self.audit = audit
        self.log = log
    }

    /// How often each thing happened here since the start, and what waits, for `/metrics`.
    func add(to metrics: inout Metrics) {
        let counts = self.counts.withLock { $0 }
        for event in Event.allCases {
            metrics.add(metrics.series(ServerMetric.approvals, [event.rawValue]), Double(counts[event] ?? 0))
        }
        let waiting = self.control.catalogue.waitingApprovals(now: self.clock.now)
        metrics.set(metrics.series(ServerMetric.approvalsWaiting, []), Double(waiting))
    }

    // MARK: calls

    /// A call that is to be approved elsewhere wants to begin. `completion` is called once, from any thread; with the approval where
    /// there is one.
    /// - Parameter mayBeLost: an approval that was used up is given once more: whether its call ever began, the log knows under the key
    ///   that it begins with.
    func claim(
        _ request: ApprovalRequest, mayBeLost: Bool,
        _ completion: @escaping @Sendable (ApprovalGate.Claim, Approval?) -> Void
    ) {
        // Agents ask again and again: as long as nothing was decided, nobody is asked.
        if let known = self.control.catalogue.openApproval(request.binding, now: self.clock.now) {
            switch known.state {
            case .waiting: return completion(.waiting, known)
            case .declined: return completion(.declined, known)
            case .accepted, .consumed, .expired: break
            }
        } else if mayBeLost, let used = self.control.catalogue.usedApproval(request.binding, now: self.clock.now) {
            return completion(.consumed, used)
        }
        self.control.perform(.claimApproval(.random(), request), by: request.principal) { answer in
            do throws(ApusError) {
                guard let outcome = try answer.get().outcomes.last, let id = ApprovalID(outcome.name) else {
                    throw ApusError(.internal, "the answer to a claim of an approval names none")
                }
                let approval = try self.control.catalogue.approval(id, in: outcome.namespace)
                switch outcome.action {
                case .consumed: self.note(.consumed, approval, by: request.principal) { completion($0, approval) }
                case .created: self.note(.requested, approval, by: request.principal) { completion($0, approval) }
                case .declined: completion(.declined, approval)
                default: completion(.waiting, approval)
                }
            } catch { completion(.failed(error.code, error.message), nil) }
        }
    }

    private func note(
        _ event: Event, _ approval: Approval, by principal: String,
        _ completion: @escaping @Sendable (ApprovalGate.Claim) -> Void
    ) {
        let claim: ApprovalGate.Claim = event == .consumed ? .consumed : .created
        self.note(event, AuditEntry(approval, by: principal)) { result in
            switch result {
            case .success: completion(claim)
            case .failure(let error):
                completion(.failed(error.code, "what was decided cannot be kept: \(error.message)"))
            }
        }
    }

    /// Notes what was answered to a state. Of all requests with it, on all servers, the first decides what was.
    func take(
        _ name: [UInt8], _ answer: ApprovalAnswer,
        _ completion: @escaping @Sendable (Result<ApprovalGate.Taken, ApusError>) -> Void
    ) {
        let now = self.clock.now
        let kept = TimeSpan.seconds(Limits.Tools.questionSeconds + Limits.ToolEndpoint.stateGraceSeconds)
        let said: UInt8 = answer == .accepted ? 1 : 0
        let once = LogBatch.Once(
            key: SHA256.hash(Array("apus approval state 2".utf8) + name), fingerprint: [said], keptUntil: now + kept)
        self.log.submit(LogBatch(urgency: .settlement, once: once)) { result in
            switch result {
            case .success(let receipt): completion(.success(receipt.isRepeated ? .again : .first))
            case .failure(let error): completion(error.code == .conflict ? .success(.other) : .failure(error))
            }
        }
    }

    /// Keeps what happened to an approval. `completion` is called once it is durable.
    func note(
        _ event: Event, _ entry: AuditEntry, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.counts.withLock { $0[event, default: 0] += 1 }
        var entry = entry
        entry.kind = .approval
        entry.code = event.rawValue
        entry.decision = event == .accepted || event == .consumed ? .allowed : .refused
        self.audit.note(entry, now: self.clock.now, completion)
    }

    // MARK: tasks

    func approval(_ name: String) -> Approval? {
        ApprovalID(name).flatMap { self.control.catalogue.approval($0) }
    }

    /// What became of the approval that a task waits for. One that is used up lets it begin as well: there is one task for each.
    func held(_ name: String) -> HeldApproval {
        guard let approval = self.approval(name) else {
            return .refused(Failure(.expired, "its approval is not kept any more, and it was not run"))
        }
        switch approval.name(now: self.clock.now) {
        case .waiting: return .waiting
        case .accepted, .consumed: return .accepted
        case .declined: return .refused(Failure(.functionRejected, ApprovalText.refusal(.refused, approval)))
        case .expired: return .refused(Failure(.expired, "nobody decided about its approval in time, and it was not run"))
        }
    }

    /// A task begins because of it. Where this is lost the same call finds the approval, and with it that very task.
    func use(_ name: String) {
        guard let approval = self.approval(name) else { return }
        let principal = approval.request.principal
        self.control.perform(.claimApproval(approval.id, approval.request), by: principal) { answer in
            guard case .success(let done) = answer, done.outcomes.last?.action == .consumed else { return }
            self.note(.consumed, AuditEntry(approval, by: principal)) { _ in }
        }
    }

    // MARK: deciding

    func decide(
        _ id: ApprovalID, in namespace: Namespace, _ verdict: ApprovalVerdict,
        _ completion: @escaping @Sendable (Result<(Approval, RecordPlace?), ApusError>) -> Void
    ) {
        self.control.perform(.decideApproval(id, namespace, verdict), by: verdict.principal) { answer in
            do throws(ApusError) {
                let position = try answer.get().position
                let approval = try self.control.catalogue.approval(id, in: namespace)
                self.note(
                    verdict.isAccepted ? .accepted : .declined, AuditEntry(approval, by: verdict.principal)
                ) { result in
                    completion(result.map { (approval, position) })
                }
            } catch { completion(.failure(error)) }
        }
    }

    /// Writes down whose time is over, a bounded number. Blocks.
    func sweep(isDryRun: Bool) throws(ApusError) -> SweepStep {
        let due = self.control.catalogue.dueApprovals(now: self.clock.now)
        let count = due.expired.count + due.forgotten.count
        var step = SweepStep(removed: due.forgotten.count)
        if count > 0, !isDryRun {
            let done = try self.control.perform(.sweepApprovals).get()
            step.removed = done.outcomes.count { $0.action == .deleted }
            step.hasMore = count > done.outcomes.count && !done.outcomes.isEmpty
            let ended = Set(done.outcomes.filter { $0.action == .expired }.map(\.name))
            for approval in due.expired where ended.contains(approval.id.description) {
                // It has expired whether this is kept or not.
                self.note(.expired, AuditEntry(approval, by: approval.request.principal)) { _ in }
            }
        }
        step.kept = self.control.catalogue.approvalCount
        return step
    }
}

extension AuditEntry {
    /// - Parameter principal: who did what it is about.
    init(_ approval: Approval, by principal: String) {
        let request = approval.request
        self.init(
            .approval, .refused, namespace: approval.namespace, principal: principal, subject: request.tool,
            digest: request.digest, revision: request.revision, arguments: request.argumentsDigest,
            approval: approval.id.description)
    }
}
