internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
public import ApusManifest

/// What is known of a tool that somebody signed: whose key its changes must be signed with, and what was accepted of it last. A tool that says
/// something else than that is quarantined: agents neither see nor call it.
public struct ToolTrust: Sendable, Equatable {
    /// As manifests write it.
    public var key: String
    /// The text of the statement.
    public var accepted: String

    public init(key: String, accepted: String) {
        self.key = key
        self.accepted = accepted
    }

    public func isHeld(_ function: FunctionManifest) -> Bool {
        function.toolStatement.map { !$0.elementsEqual(self.accepted.utf8) } ?? false
    }

    /// What names a statement.
    public static func digest(of statement: [UInt8]) -> String { Hex.encode(SHA256.hash(statement)) }

    /// After a deploy. The first signature is believed; from then on its key, or somebody's acceptance, is needed.
    /// - Parameter function: whose signature, if it has one, is right.
    static func after(_ function: FunctionManifest, _ previous: ToolTrust?) -> ToolTrust? {
        guard let statement = function.toolStatement else { return previous }
        let signer = function.tool?.signature?.key
        guard let key = previous?.key ?? signer, signer == key else { return previous }
        return ToolTrust(key: key, accepted: String(decoding: statement, as: UTF8.self))
    }

    /// After somebody accepted what it says now. Whoever signed that signs from then on.
    func accepting(_ function: FunctionManifest) -> ToolTrust {
        let statement = function.toolStatement.map { String(decoding: $0, as: UTF8.self) } ?? self.accepted
        return ToolTrust(key: function.tool?.signature?.key ?? self.key, accepted: statement)
    }

    var json: JSONValue { ["key": .string(self.key), "accepted": .string(self.accepted)] }

    init(_ json: JSONValue) throws(ControlRecordError) {
        guard let key = json["key"]?.string, let accepted = json["accepted"]?.string else { throw .badMember("trust") }
        self.init(key: key, accepted: accepted)
    }
}

/// Signatures of tools.
extension ControlDecider {
    /// What changes of a function's tool need: also after it was deleted, or to delete it would be a way around that.
    func trust(of name: ResourceName?) -> ToolTrust? {
        name.flatMap { self.catalogue.functions[$0].map(\.trust) ?? self.catalogue.trustLeft[$0] }
    }

    /// A signature that is not right is no signature: nobody deploys one by mistake.
    func checkSignatures(_ functions: [FunctionManifest]) throws(ApusError) {
        for function in functions {
            guard let signature = function.tool?.signature, let statement = function.toolStatement else { continue }
            let key = Base64URL.decode(signature.key).flatMap { PublicKey(curve: .ed25519, x: $0, y: nil) }
            let value = Base64URL.decode(signature.value)
            guard let key, let value, key.verifies(value, of: statement, by: .edDSA) else {
                throw ApusError(
                    .manifestInvalid,
                    "the tool of '\(function.name)' is not what `spec.tool.signature` was made of, or not by that key: sign it again with "
                        + "`apus deploy --sign KEY.pem`")
            }
        }
    }

    func acceptSignedTool(_ name: ResourceName, digest: String) throws(ApusError) -> ControlDecision {
        guard let function = self.catalogue.functions[name] else {
            throw ApusError(.functionNotFound, "there is no function '\(name)'; 'apus get functions' lists those that are")
        }
        guard let trust = function.trust, trust.isHeld(function.manifest), let statement = function.manifest.toolStatement else {
            throw ApusError(.conflict, "there is nothing to accept of the tool of '\(name)'")
        }
        guard ToolTrust.digest(of: statement) == digest else {
            throw ApusError(.conflict, "the tool of '\(name)' says something else by now: look at it again")
        }
        let generation = function.generation + 1
        return ControlDecision(
            records: [
                ControlRecord(
                    kind: .function, namespace: name.namespace, name: name.name, generation: generation, time: self.now,
                    content: .function(
                        FunctionDeployment(
                            manifest: Manifest.function(function.manifest).toJSON(), revision: function.revision,
                            bundle: function.bundle, layer: function.layer, triggers: function.triggers.map(\.deployment),
                            schedules: function.schedules.map(\.deployment), origin: function.origin, move: function.move,
                            trust: trust.accepting(function.manifest))))
            ],
            outcomes: [
                ControlDecision.Outcome(
                    kind: .function, namespace: name.namespace, name: name.name, action: .updated, generation: generation,
                    revision: function.revision)
            ])
    }
}
