internal import ApusCore
internal import ApusHost
internal import ApusStore
internal import ApusTools

extension InvocationRow {
    /// What the function returned, as its worker would have said it. Reads the log: on the store thread.
    /// - Throws: what it failed with; `record_expired` when the result is not kept any more.
    func returned(_ log: any EventLog) throws(ApusError) -> [UInt8] {
        guard self.state == .succeeded else { throw self.failure }
        guard var result = try self.record(log) else {
            throw ApusError(.recordExpired, "the result of the invocation \(self.id) is not kept any more")
        }
        result.key = nil
        result.attributes.removeAll { $0.kind == .header }
        if self.result?.bytes == nil { result.data = nil }
        return EventBlock.encode(result)
    }

    /// What its caller is asked; nil where it waits for somebody else, and when that is not kept any more.
    func questions(_ log: any EventLog) throws(ApusError) -> Questions? {
        guard case .caller(let questions) = try self.waiting(log) else { return nil }
        return questions
    }

    /// The names of what its caller is asked now.
    func asked(_ log: any EventLog) throws(ApusError) -> Set<String> {
        Set(try self.questions(log)?.all.map(\.name) ?? [])
    }

    enum Waiting {
        case caller(Questions)
        /// For the approval of this name.
        case approval(String)
    }

    /// What it waits for; nil where it does not, and when that is not kept any more.
    func waiting(_ log: any EventLog) throws(ApusError) -> Waiting? {
        guard self.state == .waiting, let json = try self.record(log)?.data else { return nil }
        if case .approval(let name) = InvocationHold(questions: json) { return .approval(name) }
        return .caller(try Questions(parsing: json))
    }

    /// Why it did not succeed.
    var failure: ApusError {
        ApusError(
            self.code.flatMap(ErrorCode.init(rawValue:)) ?? .functionFailed,
            self.message ?? "the invocation \(self.state.rawValue)")
    }

    /// Its newest record; nil when it is not kept any more.
    func record(_ log: any EventLog) throws(ApusError) -> Event? {
        var found: Event?
        try log.records(at: [self.place]) { _, block in
            if let block { found = try? EventBlock.decode(block.bytes) }
        }
        return found
    }
}
