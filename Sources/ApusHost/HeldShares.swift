internal import ApusCore
internal import ApusEngine

/// Which shares this shard may work. Each of them is a group of lanes; where nobody shares the work, all lanes are one group.
struct HeldShares {
    /// Nil where the log is one node's alone.
    private let classes: [WorkClass]?
    private var terms: [Share: UInt64] = [:]
    /// What is to be let go once nothing of it runs.
    private(set) var leaving: Set<Share> = []

    init(_ sharing: (any WorkSharing)?) { self.classes = sharing?.classes }

    var isShared: Bool { self.classes != nil }

    /// The lanes of a share; nil when this node takes no part in its class.
    func group(of share: Share) -> LedgerGroup? {
        self.classes?.firstIndex(of: share.workClass).map {
            LedgerGroup(rawValue: $0 * Share.count + share.number)
        }
    }

    /// Who writes the ledger of a group; nil where nobody shares it.
    func owner(of group: LedgerGroup) -> ShareTerm? {
        guard let classes = self.classes, group.rawValue / Share.count < classes.count else { return nil }
        let share = Share(classes[group.rawValue / Share.count], group.rawValue % Share.count)
        // One that is not held is refused by the log in any term.
        return ShareTerm(share, term: self.terms[share] ?? 0)
    }

    func term(of share: Share) -> UInt64? { self.terms[share] }

    func terms(of workClass: WorkClass) -> [ShareTerm] {
        self.terms.filter { $0.key.workClass == workClass }.map { ShareTerm($0.key, term: $0.value) }
    }

    /// Where a lane's deliveries are written; nil while it is another node's.
    func group(ofOpen share: Share) -> LedgerGroup? {
        guard self.terms[share] != nil, !self.leaving.contains(share) else { return nil }
        return self.group(of: share)
    }

    mutating func hold(_ term: ShareTerm) {
        self.terms[term.share] = term.term
        self.leaving.remove(term.share)
    }

    mutating func leave(_ share: Share) { if self.terms[share] != nil { self.leaving.insert(share) } }
    mutating func left(_ share: Share) { self.leaving.remove(share) }

    mutating func drop(_ share: Share) {
        self.terms[share] = nil
        self.leaving.remove(share)
    }
}
