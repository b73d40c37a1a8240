public import ApusCore
public import ApusManifest

/// A document of a deploy with what was made of its source before.
public struct DeployDocument: Sendable, Equatable {
    public var manifest: Manifest
    /// The content hash of a function's bundle, which the server has; nil for a topic.
    public var bundle: String?
    /// The key of the function's dependency layer, which is built; nil without dependencies.
    public var layer: String?

    public init(manifest: Manifest, bundle: String? = nil, layer: String? = nil) {
        self.manifest = manifest
        self.bundle = bundle
        self.layer = layer
    }
}

/// A write to `apus.control` that somebody asks for.
public enum ControlCommand: Sendable, Equatable {
    /// All documents or none.
    /// - Parameter ifMatch: the generation that the only document must have reached; 0 for one that must not be there.
    /// - Parameter isDryRun: decides, and writes nothing.
    /// - Parameter by: the principal that agents of it are made by.
    case deploy([DeployDocument], ifMatch: UInt64?, isDryRun: Bool, by: String = "server")
    case deleteFunction(ResourceName, ifMatch: UInt64?)
    /// By its namespace and its name there.
    case deleteTopic(Namespace, String, ifMatch: UInt64?)
    case deleteToolServer(ResourceName, ifMatch: UInt64?)
    case deleteUpstream(ResourceName, ifMatch: UInt64?)
    /// What an upstream lists now.
    case takeUpstreamList(
        ResourceName, [UpstreamDefinition], of: Set<UpstreamDefinition.Kind> = Set(UpstreamDefinition.Kind.allCases))
    /// A tool, by the upstream's own name, is accepted, hidden or shown again.
    case switchUpstreamTool(ResourceName, tool: String, UpstreamTools.Switch)
    /// A tool of a function, by the name that agents know, is hidden or shown again.
    case switchTool(Namespace, String, isDisabled: Bool, by: String)
    /// What a quarantined tool of a function says now is taken; the digest is that of what was looked at.
    case acceptSignedTool(ResourceName, digest: String)
    /// What becomes of a dead letter, which the caller found and for which nothing was decided yet.
    case decideFate(DeadLetterID, Namespace, ControlRecord.DeadLetterFate)
    /// What was decided about dead letters that are gone.
    case forgetFates([ForgottenFate])
    /// Deploys a revision that is kept once more.
    /// - Parameter revision: the start of its name; nil for the one before.
    case rollback(ResourceName, revision: String?, ifMatch: UInt64?)
    /// Nothing of it is begun until it is resumed.
    case pause(PauseTarget, principal: String)
    case resume(PauseTarget)
    /// A principal that is new, or whose token of before is worth nothing any more.
    case createPrincipal(ResourceName, PrincipalDeployment)
    case revokePrincipal(ResourceName, ifMatch: UInt64? = nil)
    /// Another token for an agent; the one before is worth nothing from then on.
    case rotatePrincipal(ResourceName, id: String, hash: TokenHash)
    /// A value that was sealed for the version behind this generation.
    case setSecret(SecretName, SealedSecret, ifGeneration: UInt64)
    case deleteSecret(SecretName)
    /// A trigger is given a stretch of its topic once more.
    case createReplay(ResourceName, ReplayOrder)
    /// It is over, for one of these reasons; one that was over before stays as it was.
    case endReplay(ResourceName, ReplayID, ReplayDeployment.Outcome)
    /// What becomes of dead letters, each of which the caller found and for none of which anything was decided yet.
    case decideFates([DeadLetterID], Namespace, ControlRecord.DeadLetterFate)
    /// The same values under another key.
    case resealSecrets([SecretReseal])
    /// A call that needs an approval wants to begin.
    /// - Parameter id: of the approval that is made where there is none for this call.
    case claimApproval(ApprovalID, ApprovalRequest)
    case decideApproval(ApprovalID, Namespace, ApprovalVerdict)
    /// Approvals whose time is over are written down so, and forgotten a while later.
    case sweepApprovals
}

/// A fate that nobody can ask for any more.
public struct ForgottenFate: Sendable, Equatable {
    public var id: DeadLetterID
    public var namespace: Namespace

    public init(id: DeadLetterID, namespace: Namespace) {
        self.id = id
        self.namespace = namespace
    }
}

/// What a command comes to: what to write, and what to answer once it is written.
public struct ControlDecision: Sendable, Equatable {
    public enum TopicChange: Sendable, Equatable {
        /// Before the records are written.
        case create(TopicName, TopicConfiguration)
        /// Before the records are written.
        case alter(TopicName, TopicConfiguration)
        /// After the records are written.
        case delete(TopicName)
    }

    /// What became of one document or name.
    public struct Outcome: Sendable, Equatable {
        public enum Action: String, Sendable, Hashable, CaseIterable {
            case created, updated, unchanged, deleted, redriven, dropped, paused, resumed, revoked, finished, cancelled,
                accepted, declined, consumed, expired
        }

        public var kind: ControlRecord.Kind
        public var namespace: Namespace
        public var name: String
        public var action: Action
        public var generation: UInt64
        /// Of a function.
        public var revision: String?
    }

    /// Written in one transaction; empty when nothing changes.
    public var records: [ControlRecord] = []
    public var topicChanges: [TopicChange] = []
    public var outcomes: [Outcome] = []

    /// One that changes nothing.
    public init(records: [ControlRecord] = [], topicChanges: [TopicChange] = [], outcomes: [Outcome] = []) {
        self.records = records
        self.topicChanges = topicChanges
        self.outcomes = outcomes
    }

    mutating func add(_ other: ControlDecision) {
        self.records += other.records
        self.topicChanges += other.topicChanges
        self.outcomes += other.outcomes
    }
}
