import ApusCore
import ApusJSON
import ApusManifest
import ApusTestSupport
import Testing

@testable import ApusStore

@Suite struct CommandCodingTests {
    private static let command = Command(
        id: CommandID(high: 3, low: .max), deadline: Timestamp(microseconds: 1_234_567), kind: .control,
        who: "default/ann", payload: Array("{}".utf8),
        appends: [
            LogBatch.Append(topic: .dead, partition: 3, block: [1, 2, 3]),
            LogBatch.Append(topic: .dead, partition: nil, block: []),
        ])

    private static let answer = CommandAnswer(
        id: CommandID(high: 3, low: 4), who: "default/ann", offset: 12, decided: Timestamp(microseconds: 9), records: 2,
        through: 77, outcome: .refused(.conflict, "somebody else did"))

    @Test func commandsAndAnswersComeBackAsTheyWere() throws {
        #expect(try Command(try Self.command.event()) == Self.command)
        #expect(try CommandAnswer(Self.answer.event) == Self.answer)
        var done = Self.answer
        done.outcome = .done([0, 255])
        #expect(try CommandAnswer(done.event) == done)
        #expect(CommandID(Self.command.id.description) == Self.command.id)
        #expect(CommandID("nonsense") == nil)
    }

    @Test func whatIsCutOffOrChangedIsRefusedAndNothingCrashes() throws {
        var random = SeededGenerator(seed: 5)
        for bytes in [Self.command.encode(), Self.answer.encode()] {
            for count in 0..<bytes.count {
                let event = Event(key: [1], data: Array(bytes.prefix(count)))
                #expect(throws: CommandRecordError.self) { try Command(event) }
                #expect(throws: CommandRecordError.self) { try CommandAnswer(event) }
            }
            for _ in 0..<2_000 {
                var changed = bytes
                changed[Int.random(in: 0..<changed.count, using: &random)] = .random(in: 0...255, using: &random)
                _ = try? Command(Event(key: [1], data: changed))
                _ = try? CommandAnswer(Event(key: [1], data: changed))
            }
        }
    }

    @Test func aLaterFormatIsNotGuessedAt() {
        for bytes in [Self.command.encode(), Self.answer.encode()] {
            let event = Event(key: [1], data: [2] + bytes.dropFirst())
            #expect(throws: CommandRecordError.unknownFormat(2)) { try Command(event) }
            #expect(throws: CommandRecordError.unknownFormat(2)) { try CommandAnswer(event) }
        }
    }

    @Test func thereAreBoundsToWhatACommandHolds() {
        var large = Self.command
        large.payload = [UInt8](repeating: 0, count: Limits.ControlCommands.bytes)
        #expect(throws: ApusError.self) { try large.event() }
        var many = Self.command
        many.appends = Array(
            repeating: LogBatch.Append(topic: .dead, block: []), count: Limits.ControlCommands.appends + 1)
        #expect(throws: ApusError.self) { try many.event() }
        var wordy = Self.answer
        wordy.outcome = .refused(.conflict, String(repeating: "é", count: Limits.ControlCommands.messageBytes))
        let read = try? CommandAnswer(wordy.event)
        #expect(
            read?.outcome == .refused(.conflict, String(repeating: "é", count: Limits.ControlCommands.messageBytes / 2))
        )
    }

    @Test func everyControlCommandComesBackAsItWas() throws {
        let name = try #require(ResourceName(.default, "embed"))
        let secret = try #require(SecretName(.default, "TOKEN"))
        let fate = DeadLetterID(logIdentity: 7, topic: .dead, partition: 1, offset: 2)
        let yaml = ControlFixture.function("embed", "{topic: documents}") + ControlFixture.topic("documents")
        let documents = try Manifest.parse(yaml, file: "test.yaml").map {
            DeployDocument(manifest: $0, bundle: "b", layer: "l")
        }
        let hash = try #require(TokenHash(hex: String(repeating: "ab", count: 32)))
        let principal = PrincipalDeployment(
            id: "p", hash: hash, roles: RoleGrants([]), created: .zero, creator: "admin",
            expires: Timestamp(milliseconds: 5))
        var agent = principal
        agent.agent = AgentRights(
            servers: ["search"], scopes: ["files:read"], limits: CallBounds(callsPerMinute: 60, callsPerDay: 9, budgetPerDay: Money(0.25)))
        let sealed = SealedSecret(
            version: 3, key: String(repeating: "a", count: 16), sealed: [UInt8](repeating: 1, count: 64), set: .zero,
            setBy: "ann")
        let commands: [ControlCommand] = [
            .deploy(documents, ifMatch: 4, isDryRun: true), .deploy(documents, ifMatch: nil, isDryRun: false),
            .deleteFunction(name, ifMatch: nil), .deleteTopic(.default, "a.b", ifMatch: 0),
            .decideFate(fate, .default, .redriven), .decideFates([fate, fate], .default, .dropped),
            .createReplay(
                name,
                ReplayOrder(trigger: "t", from: .zero, to: nil, perSecond: 3, writesOutputs: false, principal: "ann")),
            .endReplay(name, ReplayID(number: 77), .cancelled),
            .forgetFates([ForgottenFate(id: fate, namespace: .default)]),
            .rollback(name, revision: "ab", ifMatch: 1), .rollback(name, revision: nil, ifMatch: nil),
            .pause(PauseTarget(name, trigger: "t"), principal: "ann"), .resume(PauseTarget(name)),
            .createPrincipal(name, principal), .createPrincipal(name, agent), .revokePrincipal(name),
            .rotatePrincipal(name, id: "abcdefgh", hash: TokenHash(of: "x")),
            .setSecret(secret, sealed, ifGeneration: 2), .deleteSecret(secret),
            .resealSecrets([SecretReseal(name: secret, generation: 1, key: "k", sealed: [1, 2])]),
        ]
        for command in commands {
            let text = command.json.encoded()
            #expect(try ControlCommand(json: JSONValue.parse(text)) == command)
        }
        #expect(throws: ApusError.self) { try ControlCommand(json: ["format": 1, "do": "dance"]) }
        #expect(throws: ApusError.self) { try ControlCommand(json: ["format": 2, "do": "deleteFunction"]) }
    }

    @Test func outcomesComeBackAsTheyWere() throws {
        let outcome = ControlDecision.Outcome(
            kind: .function, namespace: .default, name: "embed", action: .created, generation: 3, revision: "r")
        #expect(try ControlDecision.Outcome.decode(ControlDecision.Outcome.encode([outcome])) == [outcome])
    }
}
