internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// The coordinator of the group: who is a member, and which share is whose.
extension ClusterSimulator {
    private static let step = TimeSpan.milliseconds(500)

    /// Puts out who is silent, gives away what is free, asks back what another should have.
    func coordinate() {
        self.schedule(.coordinate, after: Self.step)
        guard !self.isOutage else { return }
        self.expireTransactions()
        for (node, member) in self.group.members where member.heardAt + ClusterTimes.session < self.now {
            self.putOut(node)
        }
        for (share, holder) in self.group.holders.enumerated() {
            guard let holder, let since = holder.revokedAt, since + ClusterTimes.rebalance < self.now else { continue }
            self.note("\(holder.node) does not give share \(share) back")
            self.putOut(holder.node)
        }
        for share in self.group.holders.indices where self.group.holders[share] == nil { self.give(share) }
        self.balance()
    }

    private func putOut(_ node: Int) {
        self.group.members[node] = nil
        for share in self.group.holders.indices where self.group.holders[share]?.node == node {
            self.group.holders[share] = nil
        }
    }

    private func load(_ node: Int) -> Int { self.group.holders.count { $0?.node == node } }

    private func give(_ share: Int) {
        guard let node = self.group.members.keys.min(by: { (self.load($0), $0) < (self.load($1), $1) }) else { return }
        self.group.holders[share] = SimulatedGroup.Holder(node: node)
        self.mail(node, .assigned(share))
    }

    /// Asks one share back from who has two more than another; what stays is not touched.
    private func balance() {
        guard !self.group.holders.contains(where: { $0?.revokedAt != nil }),
            let most = self.group.members.keys.max(by: { (self.load($0), $0) < (self.load($1), $1) }),
            let least = self.group.members.keys.min(by: { (self.load($0), $0) < (self.load($1), $1) }),
            self.load(most) > self.load(least) + 1,
            let share = self.group.holders.firstIndex(where: { $0?.node == most })
        else { return }
        self.group.holders[share]?.revokedAt = self.now
        self.mail(most, .revoked(share))
    }

    /// Messages reach a member in the order in which they were sent.
    private func mail(_ node: Int, _ message: GroupMessage) {
        guard let member = self.group.members[node] else { return }
        let due = max(self.nodes[node].mailDue, self.now + self.random.span(milliseconds: 1...200))
        self.nodes[node].mailDue = due
        self.schedule(.told(node: node, life: member.life, message), after: due - self.now)
    }

    func heard(_ node: Int, _ life: Int) {
        guard !self.isOutage else { return }
        if let member = self.group.members[node], member.life <= life {
            self.group.members[node]?.heardAt = self.now
            guard member.life < life else { return }
            // A member of this name that started again has its shares at once.
            self.group.members[node]?.life = life
            for share in self.group.holders.indices where self.group.holders[share]?.node == node {
                if self.group.holders[share]?.revokedAt == nil {
                    self.mail(node, .assigned(share))
                } else {
                    self.group.holders[share] = nil
                }
            }
        } else if self.group.members[node] == nil {
            self.group.members[node] = SimulatedGroup.Member(life: life, heardAt: self.now)
            // It may believe that it is one still.
            self.mail(node, .lost)
        }
    }

    func wasReleased(_ node: Int, _ life: Int, _ share: Int) {
        guard self.group.members[node]?.life == life, self.group.holders[share]?.node == node,
            self.group.holders[share]?.revokedAt != nil
        else { return }
        self.group.holders[share] = nil
    }

    func hasLeft(_ node: Int, _ life: Int) {
        guard self.group.members[node]?.life == life else { return }
        self.putOut(node)
    }

    /// What the coordinator says reaches a node.
    func tell(_ node: Int, _ message: GroupMessage) throws(SimulationFailure) {
        guard !self.nodes[node].isStopping else {
            if case .revoked(let share) = message { self.letGo(node, share) }
            return
        }
        switch message {
        case .assigned(let share): try self.event(node, share, .assigned)
        case .revoked(let share):
            let wasDraining = self.nodes[node].shares[share].drainUntil != nil
            try self.event(node, share, .revoked)
            let known = self.nodes[node].shares[share]
            if !known.machine.isAssigned, !wasDraining, known.drainUntil == nil { self.letGo(node, share) }
        case .lost:
            for share in self.nodes[node].shares.indices where self.nodes[node].shares[share].machine.isAssigned {
                self.report.lost += 1
                if self.fault == .commitsForLost, self.nodes[node].shares[share].isOpen {
                    self.steal(node, share)
                } else {
                    try self.event(node, share, .lost)
                }
            }
        }
    }

    func letGo(_ node: Int, _ share: Int) {
        self.schedule(
            .released(node: node, life: self.nodes[node].life, share: share),
            after: self.random.span(milliseconds: 1...50))
    }
}
