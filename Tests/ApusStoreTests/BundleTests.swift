import ApusCore
import Glibc
import Testing

@testable import ApusStore

@Suite struct BundleTests {
    let scratch = ScratchFolder()

    private func store() throws -> BundleStore { try BundleStore(folder: "\(self.scratch.path)/bundles") }

    @Test func aBundledFolderIsStoredUnderItsHashWithItsFilesAndModes() throws {
        self.scratch.write("src/main.py", "x = 1\n", mode: 0o600)
        self.scratch.write("src/bin/run", "#!/bin/sh\n", mode: 0o700)
        let bundle = try Bundler().bundle("\(self.scratch.path)/src")
        #expect(bundle.files == 2)
        let store = try self.store()
        #expect(try store.store(bundle.archive, hash: bundle.hash) == .created)
        #expect(try store.store(bundle.archive, hash: bundle.hash) == .existed)
        #expect(store.contains(bundle.hash))
        #expect(try store.list() == [bundle.hash])
        #expect(self.scratch.mode("bundles/\(bundle.hash)/main.py") == 0o644)
        #expect(self.scratch.mode("bundles/\(bundle.hash)/bin/run") == 0o755)
        #expect(self.scratch.mode("bundles/\(bundle.hash)/bin") == 0o755)
        // What was unpacked is what was packed: bundling it again gives the same hash.
        #expect(try Bundler().bundle(store.path(of: bundle.hash)).hash == bundle.hash)
    }

    @Test func theProgramIsPackedWhateverIsIgnoredAndThroughLinks() throws {
        self.scratch.write("src/.build/machine/release/run", "binary", mode: 0o755)
        self.scratch.write("src/.build/machine/release/run.o", "object")
        self.scratch.write("src/.apusignore", "*\n")
        self.scratch.write("src/main.swift", "source")
        #expect(symlink("machine/release", "\(self.scratch.path)/src/.build/release") == 0)
        let bundle = try Bundler().bundle("\(self.scratch.path)/src", program: "./.build/release/run")
        let entries = try Archive.decode(bundle.archive)
        #expect(entries.map(\.path) == [".build", ".build/release", ".build/release/run"])
        #expect(entries.last?.kind == .executable && entries.last?.contents == Array("binary".utf8))
        #expect(throws: ApusError.self) { try Bundler().bundle("\(self.scratch.path)/src", program: "../escape") }
        // One that is packed anyway is there once.
        self.scratch.write("plain/run", "x", mode: 0o755)
        let plain = try Bundler().bundle("\(self.scratch.path)/plain", program: "run")
        #expect(try Bundler().bundle("\(self.scratch.path)/plain").hash == plain.hash)
    }

    @Test func aBundleWhoseHashDiffersIsRefusedAndLeavesNothing() throws {
        let archive = try Archive.encode([ArchiveEntry(path: "a", kind: .file, contents: [1])])
        let store = try self.store()
        let wrong = String(repeating: "0", count: 64)
        #expect(#expect(throws: ApusError.self) { try store.store(archive, hash: wrong) }?.code == .bundleInvalid)
        #expect(throws: ApusError.self) { try store.store(archive, hash: "../../etc") }
        #expect(try store.list().isEmpty)
    }

    @Test func aMalformedArchiveWithTheRightHashLeavesNothing() throws {
        let archive = try ArchiveTests.archive(path: "../escape")
        let store = try self.store()
        #expect(throws: ApusError.self) { try store.store(archive, hash: BundleHash.of(archive)) }
        #expect(try FileTree.names(in: store.folder).isEmpty)
        #expect(!self.scratch.exists("escape"))
    }

    @Test func whatAnInterruptedUnpackingLeftIsRemovedAtTheNextStart() throws {
        self.scratch.write("bundles/.partial-abc/half", "x")
        let store = try self.store()
        #expect(try FileTree.names(in: store.folder).isEmpty)
    }

    @Test func aRemovedBundleIsGone() throws {
        let archive = try Archive.encode([ArchiveEntry(path: "a/b", kind: .file, contents: [1])])
        let store = try self.store()
        _ = try store.store(archive, hash: BundleHash.of(archive))
        try store.remove(BundleHash.of(archive))
        #expect(!store.contains(BundleHash.of(archive)))
        #expect(try FileTree.names(in: store.folder).isEmpty)
    }

    @Test func ignoredFilesDoNotTravel() throws {
        self.scratch.write("src/main.py", "")
        self.scratch.write("src/notes.txt", "")
        self.scratch.write("src/data/keep.csv", "")
        self.scratch.write("src/data/drop.csv", "")
        self.scratch.write("src/__pycache__/main.pyc", "")
        self.scratch.write("src/.apusignore", "*.txt\n/data/*\n!keep.csv\n")
        let bundle = try Bundler().bundle("\(self.scratch.path)/src")
        #expect(try Archive.decode(bundle.archive).map(\.path) == ["data", "data/keep.csv", "main.py"])
    }

    @Test func aLinkInTheSourceIsAnErrorThatNamesIt() throws {
        self.scratch.write("src/main.py", "")
        symlink("/etc/passwd", "\(self.scratch.path)/src/leak")
        let error = #expect(throws: ApusError.self) { try Bundler().bundle("\(self.scratch.path)/src") }
        #expect(error?.code == .bundleInvalid)
        #expect(error?.message.contains("leak") == true)
        self.scratch.write("src/.apusignore", "leak\n")
        #expect(try Bundler().bundle("\(self.scratch.path)/src").files == 1)
    }

    @Test func aSourceThatIsNoFolderIsAnError() {
        #expect(
            #expect(throws: ApusError.self) { try Bundler().bundle("\(self.scratch.path)/none") }?.code
                == .bundleInvalid)
    }
}
