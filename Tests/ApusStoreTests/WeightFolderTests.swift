import ApusCore
import ApusCrypto
import ApusManifest
import Glibc
import Testing

@testable import ApusStore

/// `weights/` of a data directory: what is there is whole.
@Suite struct WeightFolderTests {
    private let scratch = ScratchFolder()
    private var folder: WeightFolder { WeightFolder(dataDirectory: self.scratch.path) }

    private static func hash(_ text: String) -> String { Hex.encode(SHA256.hash(Array(text.utf8))) }

    /// - Returns: what `adopt` says of a file with that content under that name.
    @discardableResult
    private func fetch(_ text: String, as hash: String? = nil) throws -> String? {
        let hash = hash ?? Self.hash(text)
        let (descriptor, bytes) = try self.folder.openPartial(hash)
        defer { close(descriptor) }
        try self.folder.append(Array(text.utf8).dropFirst(Int(bytes)).map { $0 }, to: descriptor, of: hash)
        return try self.folder.adopt(hash, descriptor)
    }

    private static func set(_ files: [(name: String, text: String)]) throws -> WeightSet {
        let weights = files.map { #"{name: \#($0.name), file: f, sha256: "\#(Self.hash($0.text))"}"# }
        let text = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: f}
            spec: {runtime: python3, handler: "main:f", weights: [\(weights.joined(separator: ", "))]}
            """
        guard case .function(let manifest)? = try Manifest.parse(text, file: "f").first,
            let set = WeightSet(manifest, bundle: "b")
        else { throw ApusError(.internal, "no weights") }
        return set
    }

    @Test func aFileIsThereOnceItIsWholeAndHasItsHash() throws {
        let hash = Self.hash("0123456789")
        let (descriptor, _) = try self.folder.openPartial(hash)
        try self.folder.append(Array("01234".utf8), to: descriptor, of: hash)
        #expect(!self.folder.isThere(hash) && self.folder.fetched(hash) == 5)
        let found = try self.folder.adopt(hash, descriptor)
        #expect(found == Self.hash("01234") && !self.folder.isThere(hash))
        close(descriptor)
        // A server that was killed in between finds the half of it, and nothing that looks whole.
        let (again, bytes) = try self.folder.openPartial(hash)
        let names = try self.folder.kept.names()
        #expect(bytes == 5 && names.isEmpty)
        try self.folder.append(Array("56789".utf8), to: again, of: hash)
        #expect(try self.folder.adopt(hash, again) == nil)
        close(again)
        #expect(self.folder.isThere(hash) && self.folder.fetched(hash) == 10)
        #expect(try self.folder.kept.names() == [hash])
        #expect(self.scratch.mode("weights/\(hash)/data") == 0o444)
    }

    @Test func anotherContentIsNotTakenForIt() throws {
        let hash = Self.hash("right")
        #expect(try self.fetch("wrong", as: hash) == Self.hash("wrong"))
        #expect(!self.folder.isThere(hash))
        try self.folder.discard(hash)
        #expect(self.folder.fetched(hash) == 0)
    }

    @Test func workersSeeTheFilesByTheirNamesAndOneFileIsThereOnce() throws {
        try self.fetch("one")
        try self.fetch("two")
        let first = try Self.set([("a", "one"), ("b", "two")])
        let second = try Self.set([("model", "one")])
        try self.folder.link(first)
        try self.folder.link(first)
        try self.folder.link(second)
        let turned = try Self.set([("b", "two"), ("a", "one")])
        #expect(first.key != second.key && first.key == turned.key)
        var status = (stat(), stat())
        #expect(stat("\(self.scratch.path)/weights/sets/\(first.key)/a", &status.0) == 0)
        #expect(stat("\(self.scratch.path)/weights/sets/\(second.key)/model", &status.1) == 0)
        #expect(status.0.st_ino == status.1.st_ino && status.0.st_nlink == 3)
        #expect(try self.folder.bytes() == 6)
        try self.folder.removeSets { $0 == second.key }
        #expect(!self.folder.isThere(set: first.key) && self.folder.isThere(set: second.key))
    }

    @Test func aSetIsMadeOfWholeFilesOnly() throws {
        try self.fetch("one")
        let set = try Self.set([("a", "one"), ("b", "two")])
        #expect(throws: ApusError.self) { try self.folder.link(set) }
        #expect(!self.folder.isThere(set: set.key))
        try self.folder.removeSets { _ in true }
        try self.folder.removeSets { _ in false }
        #expect(try FileTree.names(in: "\(self.scratch.path)/weights/sets").isEmpty)
    }

    @Test func aFileOfABundleIsCopiedWithinItsRoom() throws {
        self.scratch.write("bundles/b/model/data.bin", "0123456789")
        let hash = Self.hash("0123456789")
        let (descriptor, _) = try self.folder.openPartial(hash)
        defer { close(descriptor) }
        func copy(_ path: String, room: Int64) throws(ApusError) {
            try self.folder.copy(path, of: "b", to: descriptor, hash: hash, room: room)
        }
        #expect { try copy("model/data.bin", room: 9) } throws: { ($0 as? ApusError)?.code == .weightsUnavailable }
        #expect { try copy("model/none", room: 99) } throws: { ($0 as? ApusError)?.code == .bundleInvalid }
        #expect { try copy("model", room: 99) } throws: { ($0 as? ApusError)?.code == .bundleInvalid }
        symlink("/etc/passwd", "\(self.scratch.path)/bundles/b/link")
        #expect { try copy("link", room: 1 << 20) } throws: { ($0 as? ApusError)?.code == .bundleInvalid }
        try copy("model/data.bin", room: 10)
        #expect(try self.folder.adopt(hash, descriptor) == nil)
        #expect(self.scratch.exists("bundles/b/model/data.bin"))
    }
}
