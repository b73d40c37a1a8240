internal import ApusCore
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// What is kept of a change of tools, of what offers them, or of who may call them. Its answer waits for the record.
struct ChangeAudit: Sendable {
    private var entry: AuditEntry

    /// - Parameters:
    ///   - subject: a tool by its name; what else there is after its kind, as `agent/helper`.
    ///   - code: what was asked for, as `disabled`.
    ///   - digest: of the tool's definition from then on.
    ///   - digestBefore: of the definition that was accepted before.
    init(
        _ code: String, _ subject: String, in namespace: Namespace, by principal: String, digest: String? = nil,
        digestBefore: String? = nil, revision: String? = nil
    ) {
        self.entry = AuditEntry(
            .change, .allowed, namespace: namespace, principal: principal, subject: subject, digest: digest,
            digestBefore: digestBefore, revision: revision, code: code)
    }

    /// What became of it: what was refused says why instead of what was asked for.
    func entry(_ error: ApusError?) -> AuditEntry {
        guard let error else { return self.entry }
        var entry = self.entry
        entry.decision = .refused
        entry.code = error.code.rawValue
        return entry
    }

    /// Of a deploy: what is new of what agents see, and of who they are.
    static func entries(
        _ outcomes: [ControlDecision.Outcome], of manifests: [Manifest], by principal: String
    ) -> [AuditEntry] {
        outcomes.compactMap { outcome in
            guard outcome.action != .unchanged,
                let manifest = manifests.first(where: {
                    $0.kind.rawValue == outcome.kind.rawValue && $0.name == outcome.name
                        && $0.namespace == outcome.namespace
                        || $0.kind == .agent && outcome.kind == .principal && $0.name == outcome.name
                            && $0.namespace == outcome.namespace
                }), let subject = Self.subject(manifest)
            else { return nil }
            var digest: String?
            if case .function(let function) = manifest, let revision = outcome.revision {
                digest = Tool(function, revision: revision)?.digest
            }
            return ChangeAudit(
                outcome.action.rawValue, subject, in: outcome.namespace, by: principal, digest: digest,
                revision: outcome.revision
            ).entry(nil)
        }
    }

    /// Of a deploy: tools that agents do not see any more, since they say something else than what was signed.
    static func quarantined(
        _ outcomes: [ControlDecision.Outcome], in catalogue: Catalogue, by principal: String
    ) -> [(tool: String, entry: AuditEntry)] {
        outcomes.compactMap { outcome in
            guard outcome.kind == .function, outcome.action != .unchanged,
                let function = ResourceName(outcome.namespace, outcome.name).flatMap({ catalogue.functions[$0] }),
                let trust = function.trust, trust.isHeld(function.manifest), let tool = function.manifest.tool
            else { return nil }
            let name = ToolName(tool.name).text
            let change = ChangeAudit(
                "quarantined", name, in: outcome.namespace, by: principal,
                digest: function.manifest.toolStatement.map { ToolTrust.digest(of: $0) },
                digestBefore: ToolTrust.digest(of: Array(trust.accepted.utf8)), revision: function.revision)
            return (name, change.entry(nil))
        }
    }

    /// Nil for what is no matter of agents.
    private static func subject(_ manifest: Manifest) -> String? {
        switch manifest {
        case .topic: nil
        case .function(let function): Self.subject(function)
        case .toolServer: "tool-server/\(manifest.name)"
        case .upstream: "upstream/\(manifest.name)"
        case .agent: "agent/\(manifest.name)"
        }
    }

    static func subject(_ function: FunctionManifest) -> String? {
        if let tool = function.tool { return ToolName(tool.name).text }
        if let prompt = function.prompt { return "prompt/\(ToolName(prompt.name).text)" }
        return function.resource == nil ? nil : "resource/\(function.name.name)"
    }
}

extension Server {
    /// Calls `completion` once the entries are durable, or with why what was done cannot be told.
    func note(_ entries: [AuditEntry], _ completion: @escaping @Sendable (ApusError?) -> Void) {
        guard !entries.isEmpty else { return completion(nil) }
        self.audit.note(entries, now: self.clock.now) { result in
            switch result {
            case .success: completion(nil)
            case .failure(let error):
                completion(
                    ApusError(error.code, "it was done, and the audit cannot keep it: \(error.message)", cause: error))
            }
        }
    }
}

extension Result where Failure == ApusError {
    var refusal: ApusError? { if case .failure(let error) = self { error } else { nil } }
}
