import ApusCore
import ApusCrypto
import ApusEngine
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@testable import ApusStore

/// Sealing, keys, and what is decided about secrets.
@Suite struct SecretTests {
    var control = ControlFixture()

    static let first = String(repeating: "0a", count: 32)
    static let second = String(repeating: "0b", count: 32)

    static func keys(_ texts: String...) throws -> MasterKeys {
        let file = Array(texts.joined(separator: "\n").utf8)
        let keys = try file.withUnsafeBytes { try MasterKeyFile.parse($0, "keys") }
        return MasterKeys(keys, origin: "keys", isGenerated: false)
    }

    private func name(_ text: String, in namespace: String = "default") throws -> SecretName {
        let namespace = try #require(Namespace(namespace))
        return try #require(SecretName(namespace, text))
    }

    private func sealed(_ value: String, as name: SecretName, version: UInt64, under keys: MasterKeys) throws
        -> SealedSecret
    {
        let (key, bytes) = try keys.seal(SecretBytes(copying: value.utf8), as: name, version: version)
        return SealedSecret(version: version, key: key, sealed: bytes, set: self.control.now, setBy: "admin")
    }

    private static func text(_ secret: SealedSecret, of name: SecretName, with keys: MasterKeys) throws -> String {
        try keys.open(secret, of: name).withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
    }

    private static func code(_ body: () throws -> Void) -> ErrorCode? {
        do { try body() } catch { return (error as? ApusError)?.code }
        return nil
    }

    // MARK: sealing

    @Test func aSealedValueOpensUnderItsNameAndVersionOnly() throws {
        let keys = try Self.keys(Self.first)
        let name = try self.name("TOKEN")
        let secret = try self.sealed("hunter2", as: name, version: 3, under: keys)
        #expect(try Self.text(secret, of: name, with: keys) == "hunter2")
        var older = secret
        older.version = 2
        var renamed = secret
        renamed.key = try Self.keys(Self.second).newest.id
        let swaps: [(SealedSecret, SecretName)] = [
            (secret, try self.name("OTHER")), (secret, try self.name("TOKEN", in: "team")), (older, name),
        ]
        for (secret, name) in swaps {
            #expect(Self.code { _ = try Self.text(secret, of: name, with: keys) } == .secretUnavailable)
        }
        #expect(
            Self.code { _ = try Self.text(renamed, of: name, with: try Self.keys(Self.second)) } == .secretUnavailable)
    }

    @Test func everyChangedByteIsSeen() throws {
        let keys = try Self.keys(Self.first)
        let name = try self.name("TOKEN")
        let secret = try self.sealed("hunter2", as: name, version: 1, under: keys)
        for index in secret.sealed.indices {
            var changed = secret
            changed.sealed[index] ^= 1
            #expect(Self.code { _ = try Self.text(changed, of: name, with: keys) } == .secretUnavailable)
        }
    }

    @Test func theSameValueIsNeverSealedToTheSameBytes() throws {
        let keys = try Self.keys(Self.first)
        let name = try self.name("TOKEN")
        let all = try (0..<100).map { _ in try self.sealed("same", as: name, version: 1, under: keys).sealed }
        #expect(Set(all).count == all.count)
    }

    @Test func theNewestKeySealsAndAllOpen() throws {
        let name = try self.name("TOKEN")
        let old = try Self.keys(Self.first)
        let both = try Self.keys(Self.first, Self.second)
        let secret = try self.sealed("hunter2", as: name, version: 1, under: old)
        #expect(try Self.text(secret, of: name, with: both) == "hunter2")
        let anew = try self.sealed("hunter2", as: name, version: 1, under: both)
        #expect(anew.key == both.newest.id && anew.key != secret.key)
        #expect(try Self.text(anew, of: name, with: try Self.keys(Self.second)) == "hunter2")
        #expect(Self.code { _ = try Self.text(anew, of: name, with: old) } == .secretUnavailable)
        // A key that was made before there was a file still opens, and does not seal.
        let merged = try Self.keys(Self.second).after(old)
        #expect(merged.newest.id == both.newest.id && merged.keys.count == 2)
        #expect(both.after(old).keys.count == 2)
    }

    // MARK: key files

    @Test func aKeyFileHasAKeyALineTheNewestLast() throws {
        let keys = try Self.keys("# made in spring", "", "  \(Self.first) \r", Self.second.uppercased())
        #expect(keys.keys.count == 2)
        #expect(keys.keys.map(\.id) == (try Self.keys(Self.first, Self.second)).keys.map(\.id))
        #expect(keys.keys.allSatisfy { !Self.first.contains($0.id) && MasterKey.isID($0.id) })
        let wrong = ["", "# nothing", "abc", Self.first + "0", Self.first + "\n" + Self.first, Self.first + "\nzz"]
        for text in wrong { #expect(Self.code { _ = try Self.keys(text) } == .configurationInvalid, "\(text)") }
    }

    @Test func theNumberOfKeysIsBounded() throws {
        func file(_ count: Int) -> String {
            (0..<count).map { Hex.encode(SHA256.hash(Array("\($0)".utf8))) }.joined(separator: "\n")
        }
        #expect(try Self.keys(file(Limits.Secrets.keys)).keys.count == Limits.Secrets.keys)
        #expect(Self.code { _ = try Self.keys(file(Limits.Secrets.keys + 1)) } == .configurationInvalid)
    }

    @Test func aKeyFileIsItsOwnersAloneAndLiesElsewhere() throws {
        let folder = ScratchDirectory("apus-keys")
        let data = "\(folder.path)/data"
        mkdir(data, 0o700)
        func given(_ path: String?, credentials: String? = nil) throws -> MasterKeys? {
            try MasterKeyFile.given(path, credentials: credentials, dataDirectory: data)
        }
        func write(_ path: String, mode: mode_t) throws {
            try FileTree.remove(path)
            try FileTree.writeNew(path, Array((Self.first + "\n").utf8), mode: mode)
            chmod(path, mode)
        }
        let path = "\(folder.path)/key"
        try write(path, mode: 0o600)
        #expect(try given(path)?.isGenerated == false)
        try write(path, mode: 0o640)
        #expect(Self.code { _ = try given(path) } == .configurationInvalid)
        #expect(Self.code { _ = try given("\(folder.path)/none") } == .configurationInvalid)
        #expect(Self.code { _ = try given(folder.path) } == .configurationInvalid)
        try write("\(data)/key", mode: 0o600)
        symlink("\(data)/key", "\(folder.path)/link")
        for inside in ["\(data)/key", "\(folder.path)/link", "\(data)/../data/key"] {
            #expect(Self.code { _ = try given(inside) } == .configurationInvalid, "\(inside)")
        }
        // systemd looks after its credentials itself, with modes of its own.
        try write("\(folder.path)/apus.key", mode: 0o440)
        #expect(try given(nil, credentials: folder.path)?.keys.count == 1)
        #expect(try given(nil, credentials: data) == nil)
        #expect(try given(nil) == nil)
    }

    @Test func aKeyIsMadeOnceWhenNoneIsGiven() throws {
        let folder = ScratchDirectory("apus-keys")
        #expect(try MasterKeyFile.generated(in: folder.path, makes: false) == nil)
        let made = try #require(try MasterKeyFile.generated(in: folder.path, makes: true))
        #expect(made.isGenerated)
        #expect(try MasterKeyFile.generated(in: folder.path, makes: false)?.newest.id == made.newest.id)
        var status = stat()
        #expect(stat("\(folder.path)/master.key", &status) == 0 && status.st_mode & 0o777 == 0o600)
    }

    // MARK: decisions

    private mutating func set(_ text: String, _ value: String, under keys: MasterKeys) throws -> SecretName {
        let name = try self.name(text)
        let generation = self.control.queue.catalogue.generation(.secret, name.namespace, name.name)
        let sealed = try self.sealed(value, as: name, version: generation + 1, under: keys)
        _ = try self.control.run(.setSecret(name, sealed, ifGeneration: generation))
        return name
    }

    @Test mutating func versionsGrowThroughDeletionsWhichAreRecords() throws {
        let keys = try Self.keys(Self.first)
        let name = try self.set("TOKEN", "one", under: keys)
        let first = try #require(self.control.queue.catalogue.secrets[name]).sealed
        _ = try self.set("TOKEN", "two", under: keys)
        #expect(try self.control.run(.deleteSecret(name)).map(\.action) == [.deleted])
        let deletion = try #require(self.control.records.last)
        #expect(deletion.isDeleted && deletion.generation == 3 && deletion.event.data != nil)
        #expect(try ControlRecord(deletion.event) == deletion)
        let control = self.control
        #expect(
            Self.code {
                var control = control
                _ = try control.run(.deleteSecret(name))
            } == .secretNotFound)
        // Sealed for a version that was: whoever kept it cannot bring it back.
        #expect(
            Self.code {
                var control = control
                _ = try control.run(.setSecret(name, first, ifGeneration: 0))
            } == .conflict)
        _ = try self.set("TOKEN", "three", under: keys)
        let newest = try #require(self.control.queue.catalogue.secrets[name]).sealed
        #expect(newest.version == 4)
        #expect(try Self.text(newest, of: name, with: keys) == "three")
        var followed = ControlQueue()
        for record in self.control.records + [self.control.records[0]] {
            #expect(try ControlRecord(record.event) == record)
            _ = try followed.follow(record)
        }
        #expect(followed.catalogue.secrets[name]?.sealed == newest)
    }

    @Test mutating func aDeployNeedsItsSecretsAndKeepsThemFromBeingDeleted() throws {
        let keys = try Self.keys(Self.first)
        let manifest = ControlFixture.function("f", "", extra: "secrets: [TOKEN]")
        var before = self.control
        #expect(Self.code { _ = try before.deploy(manifest) } == .secretNotFound)
        let name = try self.set("TOKEN", "one", under: keys)
        _ = try self.control.deploy(manifest)
        #expect(self.control.queue.catalogue.users(of: name).map(\.name) == ["f"])
        var during = self.control
        #expect(Self.code { _ = try during.run(.deleteSecret(name)) } == .conflict)
        _ = try self.control.deploy(ControlFixture.function("f", ""))
        #expect(try self.control.run(.deleteSecret(name)).map(\.action) == [.deleted])
        // Nor is there a way back to what needs it.
        var after = self.control
        let function = try #require(ResourceName(.default, "f"))
        #expect(Self.code { _ = try after.run(.rollback(function, revision: nil, ifMatch: nil)) } == .secretNotFound)
    }

    @Test mutating func aNewVersionConcernsWorkersAndAnotherKeyDoesNot() throws {
        let (old, both) = (try Self.keys(Self.first), try Self.keys(Self.first, Self.second))
        let name = try self.set("TOKEN", "one", under: old)
        _ = try self.control.deploy(ControlFixture.function("f", "", extra: "secrets: [TOKEN]"))
        _ = try self.control.deploy(ControlFixture.function("g", ""))
        func generation(_ control: ControlFixture, _ text: String) -> UInt64 {
            ResourceName(.default, text).flatMap { control.queue.catalogue.functions[$0] }?.plan.generation ?? 0
        }
        let before = (generation(self.control, "f"), generation(self.control, "g"))
        _ = try self.set("TOKEN", "two", under: old)
        #expect(generation(self.control, "f") > before.0 && generation(self.control, "g") == before.1)
        let restarted = generation(self.control, "f")

        let secret = try #require(self.control.queue.catalogue.secrets[name])
        let (key, bytes) = try both.seal(
            try both.open(secret.sealed, of: name), as: name, version: secret.sealed.version)
        let reseal = SecretReseal(name: name, generation: secret.generation, key: key, sealed: bytes)
        #expect(try self.control.run(.resealSecrets([reseal])).count == 1)
        #expect(generation(self.control, "f") == restarted)
        let anew = try #require(self.control.queue.catalogue.secrets[name]).sealed
        #expect(anew.version == secret.sealed.version && anew.setBy == "admin")
        #expect(try Self.text(anew, of: name, with: try Self.keys(Self.second)) == "two")
        // Opened before it was sealed anew: what it held is old.
        #expect(try self.control.run(.resealSecrets([reseal])).isEmpty)
        // A deploy after that is newer than all of them.
        _ = try self.control.deploy(ControlFixture.function("f", "", extra: "secrets: [TOKEN]\n  timeout: 5s"))
        #expect(generation(self.control, "f") > restarted)
    }

    @Test mutating func theNumberOfSecretsIsBounded() throws {
        let keys = try Self.keys(Self.first)
        let sealed = try self.sealed("x", as: try self.name("S0"), version: 1, under: keys)
        for index in 0..<Limits.Secrets.count {
            _ = try self.control.queue.follow(
                ControlRecord(
                    kind: .secret, namespace: .default, name: "S\(index)", generation: 1, time: .zero,
                    content: .secret(sealed)))
        }
        var more = self.control
        #expect(
            Self.code { _ = try more.run(.setSecret(try self.name("MORE"), sealed, ifGeneration: 0)) } == .limitReached)
        // One that is there can still be set anew.
        _ = try self.set("S1", "y", under: keys)
    }

    // MARK: records

    @Test func namesAreThoseOfVariables() {
        for good in ["A", "_", "a1", "API_TOKEN", String(repeating: "x", count: Limits.Secrets.nameBytes)] {
            #expect(SecretName(.default, good) != nil, "\(good)")
        }
        for bad in ["", "1A", "A-B", "a.b", "a/b", "é", String(repeating: "x", count: Limits.Secrets.nameBytes + 1)] {
            #expect(SecretName(.default, bad) == nil, "\(bad)")
        }
    }

    @Test func aRecordThatIsNotWholeIsRefused() throws {
        let keys = try Self.keys(Self.first)
        let name = try self.name("TOKEN")
        let secret = try self.sealed("hunter2", as: name, version: 1, under: keys)
        let record = ControlRecord(
            kind: .secret, namespace: .default, name: "TOKEN", generation: 1, time: .zero, content: .secret(secret))
        let data = try #require(record.event.data)
        let good = try JSONValue.parse(data)
        #expect(!String(decoding: good.encoded(), as: UTF8.self).contains("hunter2"))
        let long = String(repeating: "00", count: Limits.Secrets.valueBytes + 29)
        let changes: [(String, JSONValue?)] = [
            ("version", nil), ("version", 0), ("key", "XYZ"), ("key", nil), ("sealed", "abc"), ("sealed", "zz"),
            ("sealed", "00"), ("sealed", .string(long)), ("set", nil), ("setBy", 7),
        ]
        for (member, value) in changes {
            var json = good
            json[member] = value ?? .null
            var event = record.event
            event.data = json.encoded()
            #expect(Self.code { _ = try ControlRecord(event) } == .logDamaged, "\(member)")
        }
    }

    /// Any bytes of a record are refused with `log_damaged` or read as what writes the same bytes again.
    @Test(arguments: 0..<4) func changedRecordsAreRefusedOrReadAsTheyStand(seed: UInt64) throws {
        var random = ApusTestSupport.SeededGenerator(seed: seed)
        let keys = try Self.keys(Self.first)
        let name = try self.name("TOKEN")
        for _ in 0..<500 {
            let value = random.bytes(Int.random(in: 1...200, using: &random))
            let (key, sealed) = try keys.seal(SecretBytes(copying: value), as: name, version: 1)
            let record = ControlRecord(
                kind: .secret, namespace: .default, name: "TOKEN", generation: 1, time: .zero,
                content: .secret(
                    SealedSecret(version: 1, key: key, sealed: sealed, set: .zero, setBy: "admin")))
            var event = record.event
            #expect(try ControlRecord(event) == record)
            var data = event.data ?? []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                data[Int.random(in: data.indices, using: &random)] = UInt8.random(in: 0...255, using: &random)
            }
            event.data = data
            do {
                let read = try ControlRecord(event)
                #expect(try ControlRecord(read.event) == read)
            } catch {
                #expect(error.code == .logDamaged)
            }
        }
    }
}
