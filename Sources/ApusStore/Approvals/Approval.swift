public import ApusCore
public import ApusManifest

/// What is to be approved: one call of a tool, by one principal, with these arguments, of this revision.
public struct ApprovalRequest: Sendable, Equatable {
    /// Whose call it is.
    public var principal: String
    public var function: ResourceName
    /// What agents call the tool.
    public var tool: String
    /// Of the function: after a deploy it is another call.
    public var revision: String
    public var version: Int
    /// SHA-256 of the tool's definition, in hexadecimal digits.
    public var digest: String
    public var by: ToolManifest.Approval.Approver
    /// SHA-256 over everything that makes two calls the same, in hexadecimal digits.
    public var binding: String
    /// SHA-256 of the arguments, in hexadecimal digits, as the audit has it.
    public var argumentsDigest: String
    /// JSON: what whoever decides is shown of them, with secrets masked.
    public var arguments: String

    public init(
        principal: String, function: ResourceName, tool: String, revision: String, version: Int, digest: String,
        by: ToolManifest.Approval.Approver, binding: String, argumentsDigest: String, arguments: String
    ) {
        self.principal = principal
        self.function = function
        self.tool = tool
        self.revision = revision
        self.version = version
        self.digest = digest
        self.by = by
        self.binding = binding
        self.argumentsDigest = argumentsDigest
        self.arguments = arguments
    }
}

/// An approval that is kept: asked for by a call whose client cannot ask its person, or that somebody else is to decide.
public struct Approval: Sendable, Equatable {
    public enum State: Sendable, Equatable {
        /// To `accepted`, `declined`, `expired`.
        case waiting
        /// The same call may begin, once. To `consumed`, `expired`.
        case accepted(Decision)
        /// The same call is refused until the approval's time is over. Last.
        case declined(Decision)
        /// The call began. Last.
        case consumed(Decision, at: Timestamp)
        /// Nobody decided in time, or the call did not come again. Last.
        case expired(Decision?, at: Timestamp)
    }

    public struct Decision: Sendable, Equatable {
        public var principal: String
        public var time: Timestamp
        public var reason: String?

        public init(principal: String, time: Timestamp, reason: String?) {
            self.principal = principal
            self.time = time
            self.reason = reason
        }
    }

    /// As lists and answers name it.
    public enum StateName: String, Sendable, Hashable, CaseIterable { case waiting, accepted, declined, consumed, expired }

    public var id: ApprovalID
    public var request: ApprovalRequest
    public var created: Timestamp
    /// From then on nothing begins because of it.
    public var expires: Timestamp
    public var state: State

    public init(id: ApprovalID, request: ApprovalRequest, created: Timestamp, expires: Timestamp, state: State = .waiting) {
        self.id = id
        self.request = request
        self.created = created
        self.expires = expires
        self.state = state
    }

    public var namespace: Namespace { self.request.function.namespace }

    /// What it is now: one whose time is over has expired whether that was written down yet or not.
    public func name(now: Timestamp) -> StateName {
        switch self.state {
        case .waiting: now < self.expires ? .waiting : .expired
        case .accepted: now < self.expires ? .accepted : .expired
        case .declined: .declined
        case .consumed: .consumed
        case .expired: .expired
        }
    }

    public var decision: Decision? {
        switch self.state {
        case .waiting: nil
        case .accepted(let decision), .declined(let decision), .consumed(let decision, _): decision
        case .expired(let decision, _): decision
        }
    }

    /// Whether it says what becomes of the same call.
    func isOpen(now: Timestamp) -> Bool {
        guard now < self.expires else { return false }
        switch self.state {
        case .waiting, .accepted, .declined: return true
        case .consumed, .expired: return false
        }
    }

    /// Of its record: each state is behind those it comes from, so that an older record brought back counts for nothing.
    var generation: UInt64 {
        switch self.state {
        case .waiting: 1
        case .accepted, .declined: 2
        case .consumed, .expired: 3
        }
    }

    static let forgottenGeneration: UInt64 = 4

    var record: ControlRecord {
        let time =
            switch self.state {
            case .waiting: self.created
            case .accepted(let decision), .declined(let decision): decision.time
            case .consumed(_, let time), .expired(_, let time): time
            }
        return ControlRecord(
            kind: .approval, namespace: self.namespace, name: self.id.description, generation: self.generation,
            time: time, content: .approval(self))
    }
}
