import ApusCore
import ApusCrypto
import ApusManifest
import Testing

@testable import ApusStore

/// Tools that somebody signed: what changes them must be signed by the same key, or accepted.
@Suite struct ToolTrustTests {
    var control = ControlFixture()

    private static func key(_ secret: String) throws -> SigningKey {
        let pem = "-----BEGIN PRIVATE KEY-----\n\(secret)\n-----END PRIVATE KEY-----\n"
        return try #require(SigningKey(pem: Array(pem.utf8)))
    }
    private let ours: SigningKey
    private let theirs: SigningKey

    init() throws {
        self.ours = try Self.key("MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7")
        self.theirs = try Self.key("MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g")
    }

    private func manifest(_ about: String, tool: String = "name: search", signer: SigningKey? = nil) throws -> Manifest {
        let yaml =
            "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: finder}\n"
            + "spec: {description: \(about), runtime: python3, handler: \"main:run\", source: ., tool: {\(tool)}}\n"
        guard case .function(var function) = try Manifest.parse(yaml, file: "f.yaml")[0] else {
            throw ApusError(.internal, "no function")
        }
        if let signer, let statement = function.toolStatement, let value = signer.sign(statement) {
            function.tool?.signature = .init(
                key: Base64URL.encode(signer.publicKey), value: Base64URL.encode(value))
        }
        return .function(function)
    }

    private mutating func deploy(_ manifest: Manifest) throws {
        let document = DeployDocument(manifest: manifest, bundle: ControlFixture.bundle)
        _ = try self.control.run(.deploy([document], ifMatch: nil, isDryRun: false))
    }

    private var function: Catalogue.Function {
        get throws { try #require(self.control.queue.catalogue.functions.values.first) }
    }

    private var isHeld: Bool {
        get throws {
            let function = try self.function
            return function.trust?.isHeld(function.manifest) ?? false
        }
    }

    @Test mutating func whatTheKeySignsTakesItsPlaceAndNothingElseDoes() throws {
        try self.deploy(self.manifest("Finds."))
        #expect(try self.function.trust == nil, "nobody stands for it")
        try self.deploy(self.manifest("Finds.", signer: self.ours))
        #expect(try self.function.trust?.key == Base64URL.encode(self.ours.publicKey))
        #expect(try !self.isHeld)
        try self.deploy(self.manifest("Finds more.", signer: self.ours))
        #expect(try !self.isHeld)
        // What is not told to agents may change.
        try self.deploy(self.manifest("Finds more.", tool: "name: search, scopes: [a]"))
        #expect(try !self.isHeld)
        // Another description, by nobody and by somebody else; schemas and annotations count too.
        try self.deploy(self.manifest("Finds and sends.", tool: "name: search"))
        #expect(try self.isHeld)
        try self.deploy(self.manifest("Finds and sends.", signer: self.theirs))
        #expect(try self.isHeld)
        try self.deploy(self.manifest("Finds more.", tool: "name: search, annotations: {readOnly: true}"))
        #expect(try self.isHeld)
        try self.deploy(self.manifest("Finds more.", tool: "name: search, input: {type: object, properties: {a: {type: string}}}"))
        #expect(try self.isHeld)
        // Back to what was signed, and on with the key.
        try self.deploy(self.manifest("Finds more."))
        #expect(try !self.isHeld)
        try self.deploy(self.manifest("Sends.", signer: self.ours))
        #expect(try !self.isHeld)
        // The log says the same.
        var followed = ControlQueue()
        for record in self.control.records {
            #expect(try ControlRecord(record.event) == record)
            _ = try followed.follow(record)
        }
        #expect(try followed.catalogue.functions.values.first?.trust == self.function.trust)
    }

    @Test mutating func whoAcceptsTakesWhatWasLookedAt() throws {
        try self.deploy(self.manifest("Finds.", signer: self.ours))
        let name = try self.function.name
        #expect(throws: ApusError.self) { try self.control.run(.acceptSignedTool(name, digest: "")) }
        try self.deploy(self.manifest("Sends."))
        let seen = ToolTrust.digest(of: try #require(try self.function.manifest.toolStatement))
        try self.deploy(self.manifest("Sends all."))
        #expect(throws: ApusError.self, "it says something else by now") {
            try self.control.run(.acceptSignedTool(name, digest: seen))
        }
        let before = try self.function
        let digest = ToolTrust.digest(of: try #require(before.manifest.toolStatement))
        let command = ControlCommand.acceptSignedTool(name, digest: digest)
        #expect(try ControlCommand(json: command.json) == command)
        #expect(try self.control.run(command).map(\.action) == [.updated])
        let after = try self.function
        #expect(try !self.isHeld && after.revision == before.revision && after.id == before.id && after.triggers == before.triggers)
        #expect(after.trust?.key == Base64URL.encode(self.ours.publicKey), "the key is still needed")
        try self.deploy(self.manifest("Deletes."))
        #expect(try self.isHeld)
        // To accept what somebody else signed is to believe that key from then on.
        try self.deploy(self.manifest("Deletes.", signer: self.theirs))
        let theirs = ToolTrust.digest(of: try #require(try self.function.manifest.toolStatement))
        _ = try self.control.run(.acceptSignedTool(name, digest: theirs))
        try self.deploy(self.manifest("Deletes all.", signer: self.theirs))
        #expect(try !self.isHeld)
        try self.deploy(self.manifest("Finds.", signer: self.ours))
        #expect(try self.isHeld)
    }

    /// To delete a function and make it again is no way around its key.
    @Test mutating func whoeverMakesADeletedFunctionAgainNeedsItsKey() throws {
        try self.deploy(self.manifest("Finds.", signer: self.ours))
        let name = try self.function.name
        for signer in [nil, self.theirs] {
            _ = try self.control.run(.deleteFunction(name, ifMatch: nil))
            #expect(self.control.queue.catalogue.functions.isEmpty)
            try self.deploy(self.manifest("Sends.", signer: signer))
            #expect(try self.isHeld)
            // A server that starts on the log now believes the same, and so does one that finds nothing but the deletion.
            var followed = ControlQueue()
            for record in self.control.records {
                #expect(try ControlRecord(record.event) == record)
                _ = try followed.follow(record)
            }
            #expect(try followed.catalogue.functions.values.first?.trust == self.function.trust)
        }
        _ = try self.control.run(.deleteFunction(name, ifMatch: nil))
        let newest = try #require(self.control.records.last { $0.kind == .function })
        var compacted = Catalogue()
        _ = try compacted.apply(newest)
        #expect(newest.isDeleted && compacted.trustLeft[name]?.key == Base64URL.encode(self.ours.publicKey))
        // What was accepted last is offered again, and its key goes on; so does whoever somebody accepts.
        try self.deploy(self.manifest("Finds."))
        #expect(try !self.isHeld)
        try self.deploy(self.manifest("Finds more.", signer: self.ours))
        #expect(try !self.isHeld)
        _ = try self.control.run(.deleteFunction(name, ifMatch: nil))
        try self.deploy(self.manifest("Sends.", signer: self.theirs))
        let digest = ToolTrust.digest(of: try #require(try self.function.manifest.toolStatement))
        _ = try self.control.run(.acceptSignedTool(name, digest: digest))
        #expect(try !self.isHeld && self.function.trust?.key == Base64URL.encode(self.theirs.publicKey))
        // While it is there nothing is left over.
        #expect(self.control.queue.catalogue.trustLeft.isEmpty)
    }

    @Test mutating func aSignatureThatIsNotRightIsRefused() throws {
        guard case .function(var function) = try self.manifest("Finds.", signer: self.ours) else { return }
        let signature = try #require(function.tool?.signature)
        for wrong in [
            ToolManifest.Signature(key: Base64URL.encode(self.theirs.publicKey), value: signature.value),
            ToolManifest.Signature(key: signature.key, value: String(signature.value.reversed())),
            ToolManifest.Signature(key: "x", value: "y"),
        ] {
            function.tool?.signature = wrong
            let error = #expect(throws: ApusError.self) { try self.deploy(.function(function)) }
            #expect(error?.code == .manifestInvalid)
        }
        function.tool?.signature = signature
        #expect(try Manifest(json: Manifest.function(function).toJSON()) == .function(function))
        try self.deploy(.function(function))
    }
}
