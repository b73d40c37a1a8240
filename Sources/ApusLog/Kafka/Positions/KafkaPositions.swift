internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// Shows how far subscriptions are as offsets that a group of each committed, on a thread of its own, and finds what somebody else set.
///
/// What this writes carries a note with the offset; an offset with another note, or none, is somebody's order. It is never written over:
/// whoever begins the subscription anew follows it.
final class KafkaPositions: GroupPositions {
    let configuration: KafkaLogConfiguration
    let sharing: KafkaSharing
    private let board: PositionBoard
    private let clock: @Sendable () -> Timestamp
    private let isClosing = Monitor(false)
    private let thread = Mutex<LogThread?>(nil)
    private let client = Mutex<KafkaClient?>(nil)
    private let refusals = Mutex<Set<Int32>>([])

    init(
        _ configuration: KafkaLogConfiguration, _ sharing: KafkaSharing, _ board: PositionBoard,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.configuration = configuration
        self.sharing = sharing
        self.board = board
        self.clock = clock
    }

    func start() throws(ApusError) {
        let thread = try LogThread { [unowned self] in self.run() }
        self.thread.withLock { $0 = thread }
    }

    func close() {
        self.isClosing.withLock { $0 = true }
        self.isClosing.signal()
        self.thread.join()
        self.client.withLock { $0 = nil }
    }

    // MARK: GroupPositions

    func moves(of positions: [GroupPosition], in share: Share?) throws(ApusError) -> [Offset?] {
        do throws(KafkaFailure) {
            if let share {
                self.board.change { table in for position in positions { table.committed(position, of: share) } }
            }
            return try self.look(at: positions)
        } catch {
            throw error.apusError("cannot see whether somebody moved positions")
        }
    }

    func followed(_ positions: [GroupPosition]) throws(ApusError) {
        do throws(KafkaFailure) {
            let answers = try self.asking { (offsets) throws(KafkaFailure) in
                try offsets.set(self.groups(positions, offset: \.offset))
            }
            for case .failure(let failure) in answers { throw failure }
        } catch {
            throw error.apusError("cannot show where positions were moved to")
        }
        let now = self.clock()
        self.board.change { $0.wrote(positions, now: now) }
    }

    func leave(_ positions: [GroupPosition]) {
        self.board.change { table in for position in positions { table.forget(position) } }
    }

    var waiting: [GroupPosition] { self.board.change { $0.waiting } }

    // MARK: the thread

    private func run() {
        let interval = max(1, Int(self.configuration.positionsInterval.milliseconds))
        var (showing, telling) = (PassingTrouble(), PassingTrouble())
        while self.isClosing.take(within: interval, { $0 ? true : nil }) == nil {
            self.attempt("show positions", &showing) { () throws(KafkaFailure) in try self.write() }
            self.attempt("say which shares are worked here", &telling) { () throws(KafkaFailure) in try self.tellShares() }
        }
    }

    /// What cannot be done now is done at the next look: nothing depends on it.
    private func attempt(_ what: String, _ trouble: inout PassingTrouble, _ work: () throws(KafkaFailure) -> Void) {
        do throws(KafkaFailure) {
            try work()
            if trouble.passed() { self.note("can \(what) again") }
        } catch {
            if trouble.failed(isPassing: error.isPassing, now: self.clock()) { self.note("cannot \(what): \(error)") }
        }
    }

    private func write() throws(KafkaFailure) {
        let now = self.clock()
        self.client.withLock { $0 }?.serve()
        let due = self.board.change { $0.due(now: now) }
        guard !due.isEmpty else { return }
        let moves = try self.look(at: due)
        let left = zip(due, moves).compactMap { $1 == nil ? $0 : nil }
        let (shown, gone) = (left.filter { $0.offset != nil }, left.filter { $0.offset == nil })
        let answers = try self.asking { (offsets) throws(KafkaFailure) in
            try offsets.set(self.groups(shown, offset: \.offset))
                + (try offsets.remove(self.groups(gone) { _ in nil }))
        }
        for case .failure(let failure) in answers { self.refused(failure) }
        // Who may not write them tries again when they change.
        self.board.change { $0.wrote(left, now: now) }
    }

    // MARK: the cluster

    /// - Returns: for each position where somebody else set it to; nil where nobody did.
    private func look(at positions: [GroupPosition]) throws(KafkaFailure) -> [Offset?] {
        guard !positions.isEmpty else { return [] }
        let answers = try self.asking { (offsets) throws(KafkaFailure) in
            try offsets.committed(self.groups(positions) { _ in nil })
        }
        var places: [PositionTable.Place: GroupOffsets.Place] = [:]
        for (answer, asked) in zip(answers, Self.grouped(positions)) {
            switch answer {
            // Whose positions nobody shows this node nobody moves.
            case .failure(let failure): self.refused(failure)
            case .success(let found):
                for (place, position) in zip(found, asked) { places[PositionTable.Place(position)] = place }
            }
        }
        return positions.map { self.moved($0, places[PositionTable.Place($0)]) }
    }

    private func moved(_ position: GroupPosition, _ found: GroupOffsets.Place?) -> Offset? {
        guard let found, found.offset >= 0 else {
            self.board.change { $0.found(position, shows: nil) }
            return nil
        }
        if found.note == Self.mark(found.offset) {
            self.board.change { $0.found(position, shows: found.offset) }
            return nil
        }
        // Of a subscription that is gone nobody follows anything.
        guard position.offset != nil else { return nil }
        if self.board.change({ $0.found(position, movedTo: found.offset) }) {
            self.note(
                "the position of \(self.name(position.group)) in \(position.place) was set to \(found.offset) by somebody else: "
                    + "that is followed when the subscription is resumed after a pause, or begins anew")
        }
        return found.offset
    }

    /// What tells this node's offsets from those of others.
    static func mark(_ offset: Offset) -> String { "apus:\(offset)" }

    /// As the group is called on the cluster.
    private func name(_ group: String) -> String { self.configuration.topicPrefix + group }

    private static func grouped(_ positions: [GroupPosition]) -> [[GroupPosition]] {
        var order: [String] = []
        var grouped: [String: [GroupPosition]] = [:]
        for position in positions {
            if grouped[position.group] == nil { order.append(position.group) }
            grouped[position.group, default: []].append(position)
        }
        return order.compactMap { grouped[$0] }
    }

    private func groups(
        _ positions: [GroupPosition], offset: (GroupPosition) -> Offset?
    ) -> [GroupOffsets.Group] {
        Self.grouped(positions).map { positions in
            GroupOffsets.Group(
                name: self.name(positions[0].group),
                places: positions.map { position in
                    var place = GroupOffsets.Place(
                        topic: self.configuration.topicPrefix + position.place.topic.onLog,
                        partition: position.place.partition)
                    if let offset = offset(position) {
                        place.offset = offset
                        place.note = Self.mark(offset)
                    }
                    return place
                })
        }
    }

    /// A client that failed is made anew: it may hold on to a coordinator that is none any more.
    func asking<Value>(
        _ ask: (GroupOffsets) throws(KafkaFailure) -> Value
    ) throws(KafkaFailure) -> Value {
        let known = self.client.withLock { $0 }
        let client: KafkaClient
        if let known { client = known } else {
            client = try KafkaClient(
                self.configuration,
                .positions(group: "apus.\(self.configuration.cluster).\(self.configuration.topicPrefix)positions"),
                name: "positions")
            self.client.withLock { $0 = client }
        }
        do throws(KafkaFailure) { return try ask(GroupOffsets(client: client)) } catch {
            let gone = self.client.withLock { slot -> KafkaClient? in
                guard slot === client else { return nil }
                slot = nil
                return client
            }
            withExtendedLifetime(gone) {}
            throw error
        }
    }

    /// Said once for each reason.
    private func refused(_ failure: KafkaFailure) {
        if failure.code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND { return }
        guard self.refusals.withLock({ $0.insert(failure.code.rawValue).inserted }) else { return }
        self.note("positions are not shown: \(failure)")
    }

    private func note(_ text: String) {
        self.configuration.observer.log(4, "\(self.configuration.cluster)-positions", text)
    }
}
