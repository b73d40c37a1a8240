public import ApusCore

/// How a function is offered to agents: `spec.tool`, checked, defaults filled in. What it does is the function's description.
public struct ToolManifest: Sendable, Equatable {
    /// A JSON Schema: its text, or the file that has it until a deploy has read it.
    public enum Schema: Sendable, Equatable {
        /// On one line, otherwise as it was written: the order of names, unknown keywords and the spelling of numbers are kept.
        case text([UInt8])
        /// Relative to the manifest's file.
        case file(String)

        public var text: [UInt8]? { if case .text(let text) = self { text } else { nil } }
        public var file: String? { if case .file(let file) = self { file } else { nil } }
    }

    /// Hints for agents; nil where the manifest says nothing.
    public struct Annotations: Sendable, Equatable {
        public var readOnly: Bool?
        public var destructive: Bool?
        public var idempotent: Bool?
        public var openWorld: Bool?

        public init(
            readOnly: Bool? = nil, destructive: Bool? = nil, idempotent: Bool? = nil, openWorld: Bool? = nil
        ) {
            self.readOnly = readOnly
            self.destructive = destructive
            self.idempotent = idempotent
            self.openWorld = openWorld
        }

        /// What a tool is taken for that says nothing: one that may destroy, unless it only reads.
        public var mayDestroy: Bool { !(self.readOnly ?? false) && (self.destructive ?? true) }
    }

    /// Whether a person is asked before a call begins.
    public struct Approval: Sendable, Equatable {
        public enum When: String, Sendable, CaseIterable { case never, always, destructive }
        public enum Approver: String, Sendable, CaseIterable { case caller, approver }

        public var when: When
        public var by: Approver

        public init(when: When = .never, by: Approver = .caller) {
            self.when = when
            self.by = by
        }

        /// Whether a call of a tool with these hints is asked about.
        public func concerns(_ annotations: Annotations) -> Bool {
            switch self.when {
            case .never: false
            case .always: true
            case .destructive: annotations.mayDestroy
            }
        }
    }

    /// Whether a call may or must become a task.
    public enum Asynchrony: String, Sendable, CaseIterable { case never, auto, required }

    /// When the caller of a task is asked what its function asks: as a task, or before there is one.
    public enum Questions: String, Sendable, CaseIterable { case within, before }

    /// How long a result answers the same call again.
    public struct Cache: Sendable, Equatable {
        public enum Scope: String, Sendable, CaseIterable { case principal, everyone }

        public var time: TimeSpan
        /// For whom: for who called alone, or for all who may call.
        public var scope: Scope

        public init(time: TimeSpan, scope: Scope) {
            self.time = time
            self.scope = scope
        }
    }

    /// Who stands for what a tool says, and that they do: both as Base64URL, of Ed25519.
    public struct Signature: Sendable, Equatable {
        public var key: String
        public var value: String

        public init(key: String, value: String) {
            self.key = key
            self.value = value
        }
    }

    /// What one caller may make of a tool; nil for no bound.
    public struct Bounds: Sendable, Equatable {
        public var callsPerSecond: Int?
        public var callsPerDay: Int?
        /// Calls in progress.
        public var concurrency: Int?

        public init(callsPerSecond: Int? = nil, callsPerDay: Int? = nil, concurrency: Int? = nil) {
            self.callsPerSecond = callsPerSecond
            self.callsPerDay = callsPerDay
            self.concurrency = concurrency
        }
    }

    public var name: String
    public var title: String?
    public var input: Schema
    public var output: Schema?
    public var annotations: Annotations
    public var approval: Approval
    public var asynchrony: Asynchrony
    public var questions: Questions
    /// Each of these a caller must have.
    public var scopes: [String]
    public var cache: Cache?
    /// Of each principal.
    public var bounds: Bounds
    /// Bytes of a result that are sent as they are; a larger one becomes a link.
    public var maxResult: Int64
    /// Bytes of a result that a call may have at all.
    public var resultLimit: Int64
    /// How long a result can be read that became a link.
    public var keepResult: TimeSpan
    /// Functions that offer tools of one name are versions of it, told apart by this.
    public var version: Int
    /// Its part of the calls by name alone, against the weights of the other versions.
    public var weight: Int
    /// Whether it can be called as `name__v3` too.
    public var isExposed: Bool
    /// Of ``FunctionManifest/toolStatement``.
    public var signature: Signature?

    /// The files that its schemas are still to be read from.
    public var schemaFiles: [String] { [self.input.file, self.output?.file].compactMap { $0 } }

    /// Whether a person is asked before every call.
    public var needsApproval: Bool { self.approval.concerns(self.annotations) }
}
