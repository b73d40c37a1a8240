internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON

extension WorkerStart {
    /// As the pool tells of its starts.
    var json: JSONValue {
        [
            "at": .string(RFC3339.format(self.at)), "from": .string("\(self.isFetched ? Tier.remote : Tier.disk)"),
            "cause": .string("\(InstanceTransition.Cause.demand)"), "why": .string(self.why),
            "seconds": self.took.map { .double(Double($0.microseconds) * 1e-6) } ?? .null,
        ]
    }

    /// A sentence.
    var why: String {
        if self.isFetched { return "cold, and fetched first: its files were not all on this machine's disk" }
        if self.others > 0 {
            return "cold: \(self.others) workers were there already, and more work came than they take, or one was to be ready for the next"
        }
        guard let ending = self.before else {
            return "cold: no worker was there; it is the first since the server's start"
        }
        let ago = TimeSpan(microseconds: (self.at - ending.at).microseconds / 1_000_000 * 1_000_000)
        let before = "cold: no worker was there; the last one ended \(ago) before"
        return switch ending.cause {
        case .idle: "\(before), idle for as long as `scale.idle` keeps it"
        case .failure: "\(before): it failed"
        case .replaced: "\(before), replaced by a new revision"
        case .spent: "\(before), after the one invocation that `reuse: never` gives it"
        }
    }
}
