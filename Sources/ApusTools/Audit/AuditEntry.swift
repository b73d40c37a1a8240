public import ApusCore
internal import ApusJSON

/// What is kept of something that an agent, or whoever decides for one, did.
public struct AuditEntry: Sendable, Equatable {
    public enum Kind: String, Sendable, CaseIterable {
        /// A tool was called, or its call refused.
        case call
        /// What there is was listed: once per caller and minute.
        case list
        /// A person let a call through, or did not.
        case approval
        /// A token, an agent or a tool was made, changed or taken away.
        case change
        /// A server began, and with it a chain.
        case start
        /// Retention begins here: what lies before may be gone.
        case anchor
    }

    public enum Decision: String, Sendable, CaseIterable { case allowed, refused, failed }

    public var kind: Kind
    public var decision: Decision
    public var namespace: Namespace
    public var principal: String
    /// The tool, the agent, the list.
    public var subject: String
    /// SHA-256 of the tool's definition, in hexadecimal digits.
    public var digest: String?
    /// Of the definition that was accepted before, where another one was accepted.
    public var digestBefore: String?
    public var revision: String?
    /// SHA-256 of the arguments, in hexadecimal digits: enough to tell whether two calls were the same, and nothing of what they hold.
    public var arguments: String?
    public var code: String?
    public var milliseconds: Int64?
    public var resultBytes: Int64?
    /// SHA-256 of a result that was kept on disk, in hexadecimal digits.
    public var resultDigest: String?
    public var invocation: String?
    /// The approval that it is about, or that the call waited for.
    public var approval: String?
    public var trace: String?

    public init(
        _ kind: Kind, _ decision: Decision, namespace: Namespace, principal: String, subject: String,
        digest: String? = nil, digestBefore: String? = nil, revision: String? = nil, arguments: String? = nil, code: String? = nil,
        milliseconds: Int64? = nil, resultBytes: Int64? = nil, invocation: String? = nil, approval: String? = nil,
        trace: String? = nil
    ) {
        self.kind = kind
        self.decision = decision
        self.namespace = namespace
        self.principal = principal
        // Callers choose it and the trace, and what they chose waits to be written.
        self.subject = subject.cut(toCodePoints: Limits.Tools.auditTextCodePoints)
        self.digest = digest
        self.digestBefore = digestBefore
        self.revision = revision
        self.arguments = arguments
        self.code = code
        self.milliseconds = milliseconds
        self.resultBytes = resultBytes
        self.invocation = invocation
        self.approval = approval
        self.trace = trace?.cut(toCodePoints: Limits.Tools.auditTextCodePoints)
    }

    /// The members of its record, each with a comma before it. Texts that callers chose are cut at a bound.
    func write(into bytes: inout [UInt8]) {
        func begin(_ name: StaticString) {
            bytes.append(contentsOf: #",""#.utf8)
            bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
            bytes.append(contentsOf: #"":"#.utf8)
        }
        func text(_ name: StaticString, _ value: String?) {
            guard let value else { return }
            begin(name)
            JSONText.append(value.cut(toCodePoints: Limits.Tools.auditTextCodePoints), to: &bytes)
        }
        func number(_ name: StaticString, _ value: Int64?) {
            guard let value else { return }
            begin(name)
            bytes.append(contentsOf: value.description.utf8)
        }
        text("kind", self.kind.rawValue)
        text("decision", self.decision.rawValue)
        text("namespace", self.namespace.name)
        text("principal", self.principal)
        text("subject", self.subject)
        text("sha256", self.digest)
        text("sha256Before", self.digestBefore)
        text("revision", self.revision)
        text("arguments", self.arguments)
        text("code", self.code)
        number("milliseconds", self.milliseconds)
        number("bytes", self.resultBytes)
        text("resultSha256", self.resultDigest)
        text("invocation", self.invocation)
        text("approval", self.approval)
        text("trace", self.trace)
    }
}
