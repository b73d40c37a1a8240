internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// What happens to the nodes and their Kafka.
extension ClusterSimulator {
    /// The whole of the world's part of the run, made up at the start.
    func scheduleWorld() {
        let length = Int(Self.faultsLast.milliseconds)
        for _ in 0..<self.random.pick(5...20) {
            self.schedule(
                .publish(topic: self.random.pick(0...self.setup.topics.count - 1)),
                after: self.random.span(milliseconds: 0...length))
        }
        for _ in 0..<self.random.pick(0...3) {
            let (node, at) = (self.random.pick(0...self.setup.nodes - 1), self.random.pick(0...length))
            self.schedule(self.random.chance(0.6) ? .kill(node) : .stop(node), after: .milliseconds(Int64(at)))
            // Within its session, or after it.
            let away = self.random.chance(0.5) ? self.random.pick(50...3_000) : self.random.pick(3_000...40_000)
            self.schedule(.start(node), after: .milliseconds(Int64(at + away)))
        }
        for _ in 0..<self.random.pick(0...3) {
            let (node, at) = (self.random.pick(0...self.setup.nodes - 1), self.random.pick(0...length))
            let span = self.random.chance(0.4) ? self.random.pick(50...4_000) : self.random.pick(18_000...40_000)
            self.schedule(.pause(node, true), after: .milliseconds(Int64(at)))
            self.schedule(.pause(node, false), after: .milliseconds(Int64(at + span)))
        }
        for _ in 0..<self.random.pick(0...2) { self.scheduleSpan({ .outage($0) }, within: length, upTo: 15_000) }
        for _ in 0..<self.random.pick(0...2) { self.scheduleSpan({ .commitsFail($0) }, within: length, upTo: 10_000) }
        for _ in 0..<self.random.pick(0...1) { self.scheduleSpan({ .lettersOutage($0) }, within: length, upTo: 20_000) }
        self.schedule(.calm, after: Self.faultsLast)
    }

    private func scheduleSpan(_ event: (Bool) -> Event, within length: Int, upTo longest: Int) {
        let start = self.random.pick(0...length)
        self.schedule(event(true), after: .milliseconds(Int64(start)))
        self.schedule(event(false), after: .milliseconds(Int64(start + self.random.pick(50...longest))))
    }

    func happen(_ event: Event) throws(SimulationFailure) {
        switch event {
        case .publish(let topic): self.publish(topic)
        case .kill(let node): try self.kill(node)
        case .start(let node): self.start(node)
        case .stop(let node): try self.stop(node)
        case .pause(let node, let isOn): self.pause(node, isOn)
        case .outage(let isOn): self.setOutage(isOn)
        case .lettersOutage(let isOn): self.areLettersDown = isOn && !self.isCalm
        case .commitsFail(let isOn): self.doCommitsFail = isOn && !self.isCalm
        case .calm: self.calm()
        case .coordinate: self.coordinate()
        case .arrives(let request): try self.arrive(request)
        case .heartbeat(let node, let life): self.heard(node, life)
        case .released(let node, let life, let share): self.wasReleased(node, life, share)
        case .left(let node, let life): self.hasLeft(node, life)
        case .hears(let request, let answer):
            guard self.isThere(request.node, request.life, event) else { return }
            try self.hear(request, answer)
        case .told(let node, let life, let message):
            guard self.isThere(node, life, event) else { return }
            try self.tell(node, message)
        case .node(let node, let life, let what):
            guard self.isThere(node, life, event) else { return }
            try self.happen(node, what)
        }
    }

    /// What comes for a node that is stopped waits; what comes for one that died is gone.
    private func isThere(_ node: Int, _ life: Int, _ event: Event) -> Bool {
        guard self.nodes[node].life == life, self.nodes[node].state != .dead else { return false }
        if self.nodes[node].state == .paused {
            self.nodes[node].held.append(event)
            return false
        }
        return true
    }

    // MARK: nodes

    private func start(_ node: Int) {
        guard self.nodes[node].state == .dead else { return }
        self.nodes[node].life += 1
        self.nodes[node].state = .running
        self.nodes[node].isStopping = false
        self.nodes[node].mailDue = self.now
        self.nodes[node].shares = Array(repeating: ClusterShare(), count: self.setup.shares)
        self.nodes[node].engine = Engine(
            configuration: self.setup.configuration, seed: self.seed &+ UInt64(self.nodes[node].life * 10 + node))
        for plan in self.setup.plans { self.nodes[node].engine.apply(plan, now: self.now) }
        self.schedule(node, .beat, after: .zero)
    }

    func kill(_ node: Int) throws(SimulationFailure) {
        guard self.nodes[node].state != .dead, !self.isCalm else { return }
        self.report.kills += 1
        try self.checkUnsettled(node)
        self.die(node)
    }

    func die(_ node: Int) {
        self.nodes[node].state = .dead
        self.nodes[node].held = []
        self.nodes[node].workers = [:]
        self.nodes[node].attempts = [:]
        self.nodes[node].shares = Array(repeating: ClusterShare(), count: self.setup.shares)
    }

    /// The end as SIGTERM asks for it: what runs may finish, then it leaves.
    private func stop(_ node: Int) throws(SimulationFailure) {
        guard self.nodes[node].state == .running, !self.isCalm else { return }
        self.nodes[node].isStopping = true
        for share in self.nodes[node].shares.indices { try self.event(node, share, .revoked) }
    }

    func pause(_ node: Int, _ isPaused: Bool) {
        if isPaused, self.nodes[node].state == .running, !self.isCalm {
            self.nodes[node].state = .paused
        } else if !isPaused, self.nodes[node].state == .paused {
            self.nodes[node].state = .running
            let held = self.nodes[node].held
            self.nodes[node].held = []
            for event in held { self.schedule(event, after: .zero) }
        }
    }

    private func setOutage(_ isOn: Bool) {
        self.isOutage = isOn && !self.isCalm
        guard !self.isOutage else { return }
        // Who coordinates after it begins to count anew.
        for node in self.group.members.keys { self.group.members[node]?.heardAt = self.now }
    }

    /// From here on nothing fails any more: everything must settle.
    private func calm() {
        self.isCalm = true
        self.faults = ClusterSetup.Faults()
        self.areLettersDown = false
        self.doCommitsFail = false
        self.setOutage(false)
        for node in self.nodes.indices {
            self.pause(node, false)
            self.start(node)
        }
    }

    // MARK: topics

    private func publish(_ topic: Int) {
        for _ in 0..<self.random.pick([1, 1, 3, 6]) {
            let partition = self.random.pick(0...self.setup.topics[topic] - 1)
            let key = self.random.chance(0.8) ? UInt64(self.random.pick(1...4)) : 0
            self.topics[topic][partition].append(
                key: key, bytes: self.random.pick(10...400), kind: self.random.pick(0...5),
                isPoison: self.random.chance(0.03), event: 0, appended: self.now,
                gap: self.random.chance(0.1) ? Int64(self.random.pick(1...100)) : 0, isCompacted: false)
        }
        for partition in 0..<self.setup.topics[topic] {
            for node in self.nodes.indices where self.nodes[node].state != .dead {
                self.schedule(
                    node, .grew(topic: topic, partition: partition), after: self.random.span(milliseconds: 0...10))
            }
        }
    }
}
