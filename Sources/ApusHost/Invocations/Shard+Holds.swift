internal import ApusCore
internal import ApusEngine
internal import ApusJSON

/// Accepted invocations that wait for an approval before they begin: each is a delivery that is not due, for which no worker is started.
extension Shard {
    /// They were read from their queue, now or after a restart.
    func holdFetched(_ id: TriggerID, _ records: [FetchReading.HeldRecord], now: Timestamp) {
        guard !records.isEmpty, let trigger = self.triggers[id], let lane = trigger.invocations else { return }
        for record in records {
            let delivery = Delivery(trigger: id, partition: 0, offset: record.offset)
            // Not one that was over before a restart.
            guard self.engine.isWaiting(delivery) else { continue }
            record.block.withUnsafeBytes { self.hold(delivery, trigger, lane, $0, now: now) }
        }
    }

    private func hold(
        _ delivery: Delivery, _ trigger: TriggerState, _ lane: InvocationLane, _ block: UnsafeRawBufferPointer,
        now: Timestamp
    ) {
        lane.held(delivery.offset, block, revision: trigger.revision, now: now)
        if lane.asked[delivery.offset] == nil {
            guard !lane.isFull else { return self.engine.giveUp(delivery, lane.fullFailure, now: now) }
            var asked = InvocationQuestions()
            asked.ask(
                JSONMember.all(in: lane.begun[delivery.offset]?.envelope.hold ?? []),
                until: Self.appendedAt(block) + .seconds(Limits.Invocations.questionSeconds))
            lane.asked[delivery.offset] = asked
            self.mark(.asked(delivery.offset), asked.mark, trigger, now: now)
        }
        if let asked = lane.asked[delivery.offset], asked.isOpen { self.note(asked, of: delivery, trigger, lane, now: now) }
        self.decideHold(delivery, trigger, lane, now: now)
    }

    /// Lets an invocation begin, or ends it, once that is known.
    func decideHold(_ delivery: Delivery, _ trigger: TriggerState, _ lane: InvocationLane, now: Timestamp) {
        guard let asked = lane.asked[delivery.offset], let hold = asked.hold, self.engine.isWaiting(delivery) else { return }
        switch hold {
        case .caller:
            guard let answer = asked.holdAnswer else { return }
            if let failure = self.configuration.refusalOfApproval(answer) {
                self.engine.giveUp(delivery, failure, now: now)
            } else {
                self.engine.resume(delivery, now: now)
            }
        case .approval(let name):
            guard asked.isOpen else { return self.engine.resume(delivery, now: now) }
            self.decide(delivery, name, self.configuration.approval(name), trigger, lane, now: now)
        }
        self.requestTurn()
    }

    private func decide(
        _ delivery: Delivery, _ name: String, _ approval: HeldApproval, _ trigger: TriggerState, _ lane: InvocationLane,
        now: Timestamp
    ) {
        switch approval {
        case .waiting: break
        case .refused(let failure): self.engine.giveUp(delivery, failure, now: now)
        case .accepted:
            // From here on it begins, whatever becomes of the approval: a restart finds that in the ledger.
            let answer = JSONMember(name: InvocationHold.question, json: InvocationHold.accepted)
            lane.asked[delivery.offset]?.take([answer])
            self.mark(.answer(delivery.offset, question: answer.name), answer.json, trigger, now: now)
            if let asked = lane.asked[delivery.offset] { self.note(asked, of: delivery, trigger, lane, now: now) }
            self.engine.resume(delivery, now: now)
            self.configuration.onApprovalUsed(name)
        }
    }

    /// Somebody decided about an approval; harmless where nothing waits for it.
    public func approvalChanged(_ name: String) {
        let now = self.now
        for (id, trigger) in self.triggers {
            guard let lane = trigger.invocations, self.openGroup(of: trigger, 0) != nil else { continue }
            for (offset, asked) in lane.asked where asked.hold == .approval(name) {
                self.decideHold(Delivery(trigger: id, partition: 0, offset: offset), trigger, lane, now: now)
            }
        }
    }
}

extension InvocationLane {
    /// As many wait for answers as may.
    var isFull: Bool { self.asked.count(where: { $0.value.isOpen }) >= Limits.Invocations.waitingPerFunction }

    var fullFailure: Failure {
        Failure(
            .queueFull,
            "\(Limits.Invocations.waitingPerFunction) invocations of the function wait for answers already")
    }
}
