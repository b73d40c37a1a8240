internal import ApusCore
internal import CRDKafka

/// Which node works which share, as the nodes say it: each writes what it holds beside an offset of a group without members, and reads what
/// the others wrote. For people alone: who may decide, transactional ids say.
extension KafkaPositions {
    /// Says what this node holds, where that is not what is said, and takes in what the others do.
    func tellShares() throws(KafkaFailure) {
        let classes = self.sharing.classes
        let own = Dictionary(self.sharing.shares.map { ($0.share, $0) }) { first, _ in first }
        let answers = try self.asking { (offsets) throws(KafkaFailure) in
            try offsets.committed(classes.map { self.group(of: $0, Array(0..<Share.count), note: { _ in "" }) })
        }
        var others: [NodeShare] = []
        var changed: [GroupOffsets.Group] = []
        for (workClass, answer) in zip(classes, answers) {
            guard case .success(let places) = answer else { continue }
            var untold: [Int] = []
            for place in places {
                let share = Share(workClass, place.partition)
                if let status = own[share] {
                    if place.note != Self.note(status, self.sharing.node) { untold.append(place.partition) }
                } else if let said = Self.read(place.note, share), said.node != self.sharing.node {
                    others.append(said)
                }
            }
            guard !untold.isEmpty else { continue }
            changed.append(
                self.group(of: workClass, untold) { number in
                    own[Share(workClass, number)].map { Self.note($0, self.sharing.node) } ?? ""
                })
        }
        self.sharing.heard(others)
        guard !changed.isEmpty else { return }
        _ = try self.asking { (offsets) throws(KafkaFailure) in try offsets.set(changed) }
    }

    private func group(
        of workClass: WorkClass, _ numbers: [Int], note: (Int) -> String
    ) -> GroupOffsets.Group {
        GroupOffsets.Group(
            name: "\(KafkaSharing.group(self.configuration, workClass)).nodes",
            places: numbers.map { number in
                var place = GroupOffsets.Place(
                    topic: self.configuration.topicPrefix + KafkaSharing.topic(workClass), partition: number)
                place.note = note(number)
                // Its topic stays empty: no tool shows a lag.
                if !place.note.isEmpty { place.offset = 0 }
                return place
            })
    }

    /// State, since when, and who: nobody's name need be a word.
    static func note(_ status: ShareStatus, _ node: String) -> String {
        "\(status.state.rawValue) \(status.since.microseconds) \(node)"
    }

    static func read(_ note: String, _ share: Share) -> NodeShare? {
        let words = note.split(separator: " ", maxSplits: 2)
        guard words.count == 3, let state = ShareStatus.State(rawValue: String(words[0])), let since = Int64(words[1])
        else { return nil }
        return NodeShare(
            node: String(words[2]), ShareStatus(share, state, since: Timestamp(microseconds: since)))
    }
}
