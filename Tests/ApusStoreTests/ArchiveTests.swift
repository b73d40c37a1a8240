import ApusCore
import Testing

@testable import ApusStore

@Suite struct ArchiveTests {
    let entries = [
        ArchiveEntry(path: "main.py", kind: .file, contents: Array("def f(e, c): return e.data\n".utf8)),
        ArchiveEntry(path: "lib", kind: .directory),
        ArchiveEntry(path: "lib/run.sh", kind: .executable, contents: Array("#!/bin/sh\n".utf8)),
        ArchiveEntry(path: "empty", kind: .file),
    ]

    @Test func anArchiveReadsBackAsWhatWasPackedSortedByPath() throws {
        let decoded = try Archive.decode(try Archive.encode(self.entries))
        #expect(decoded == self.entries.sorted { $0.path < $1.path })
    }

    @Test func theOrderOfTheFilesDoesNotChangeTheHash() throws {
        let forwards = try Archive.encode(self.entries)
        let backwards = try Archive.encode(self.entries.reversed())
        #expect(BundleHash.of(forwards) == BundleHash.of(backwards))
        #expect(BundleHash.isWellFormed(BundleHash.of(forwards)))
    }

    @Test func longPathsAreSplitAndComeBack() throws {
        let folder = (0..<15).map { "folder-\($0)" }.joined(separator: "/")
        let path = "\(folder)/\(String(repeating: "n", count: 100))"
        #expect(path.utf8.count <= Limits.Bundle.pathBytes)
        let decoded = try Archive.decode(try Archive.encode([ArchiveEntry(path: path, kind: .file)]))
        #expect(decoded.map(\.path) == [path])
    }

    @Test func aNameLongerThanTheFormatIsRefused() {
        let error = #expect(throws: ApusError.self) {
            try Archive.encode([ArchiveEntry(path: String(repeating: "n", count: 101), kind: .file)])
        }
        #expect(error?.code == .bundleInvalid)
    }

    @Test(arguments: ["/etc/passwd", "../up", "a/../../b", "a//b", "a/./b", ".."])
    func aPathThatLeavesTheFolderIsRefusedOnBothSides(_ path: String) throws {
        #expect(throws: ApusError.self) { try Archive.encode([ArchiveEntry(path: path, kind: .file)]) }
        let bytes = try Self.archive(path: path)
        let error = #expect(throws: ApusError.self) { try Archive.decode(bytes) }
        #expect(error?.code == .bundleInvalid)
    }

    @Test(arguments: [
        UInt8(ascii: "1"), UInt8(ascii: "2"), UInt8(ascii: "3"), UInt8(ascii: "6"), UInt8(ascii: "x"),
        UInt8(ascii: "L"),
    ])
    func linksDevicesAndExtensionsAreRefused(_ type: UInt8) throws {
        let bytes = try Self.archive(path: "file", type: type)
        let error = #expect(throws: ApusError.self) { try Archive.decode(bytes) }
        #expect(error?.code == .bundleInvalid)
    }

    @Test func aPathNamedTwiceIsRefused() throws {
        let one = try Self.archive(path: "file").dropLast(1024)
        let error = #expect(throws: ApusError.self) {
            try Archive.decode(Array(one + one) + [UInt8](repeating: 0, count: 1024))
        }
        #expect(error?.message.contains("twice") == true)
    }

    @Test func aFileCannotBeAFolderToo() {
        let error = #expect(throws: ApusError.self) {
            try Archive.encode([ArchiveEntry(path: "a", kind: .file), ArchiveEntry(path: "a/b", kind: .file)])
        }
        #expect(error?.code == .bundleInvalid)
    }

    @Test func asizeBeyondTheArchiveIsRefused() throws {
        let bytes = try Self.archive(path: "file", size: "77777777777")
        #expect(throws: ApusError.self) { try Archive.decode(bytes) }
    }

    @Test func anArchiveCutAnywhereIsRefused() throws {
        let whole = try Archive.encode(self.entries)
        for count in stride(from: 0, to: whole.count - 1024, by: 512) {
            #expect(throws: ApusError.self) { try Archive.decode(Array(whole[..<count])) }
        }
        #expect(throws: ApusError.self) { try Archive.decode(Array(whole.dropLast())) }
    }

    @Test func oneChangedByteOfAHeaderIsRefused() throws {
        let whole = try Self.archive(path: "file")
        // 155 is what follows the end of the checksum's text: it means nothing.
        for index in 0..<512 where index != 155 {
            var bytes = whole
            bytes[index] ^= 0x41
            #expect(throws: ApusError.self) { try Archive.decode(bytes) }
        }
    }

    @Test func entriesAreBounded() throws {
        let most = (0..<Limits.Bundle.entries).map { ArchiveEntry(path: "f\($0)", kind: .file) }
        #expect(try Archive.decode(try Archive.encode(most)).count == Limits.Bundle.entries)
        let error = #expect(throws: ApusError.self) {
            try Archive.encode(most + [ArchiveEntry(path: "one-more", kind: .file)])
        }
        #expect(error?.code == .bundleTooLarge)
    }

    @Test func depthIsBounded() throws {
        let deepest = (0..<Limits.Bundle.depth).map { _ in "d" }.joined(separator: "/")
        #expect(try Archive.encode([ArchiveEntry(path: deepest, kind: .file)]).isEmpty == false)
        #expect(throws: ApusError.self) { try Archive.encode([ArchiveEntry(path: "d/" + deepest, kind: .file)]) }
    }

    @Test func bytesAreBounded() throws {
        let room = Limits.Bundle.archiveBytes - 3 * 512
        let fits = [ArchiveEntry(path: "big", kind: .file, contents: [UInt8](repeating: 1, count: room))]
        let archive = try Archive.encode(fits)
        #expect(archive.count == Limits.Bundle.archiveBytes)
        #expect(try Archive.decode(archive).count == 1)
        let over = [ArchiveEntry(path: "big", kind: .file, contents: [UInt8](repeating: 1, count: room + 1))]
        #expect(#expect(throws: ApusError.self) { try Archive.encode(over) }?.code == .bundleTooLarge)
        let padded = archive + [UInt8](repeating: 0, count: 512)
        #expect(#expect(throws: ApusError.self) { try Archive.decode(padded) }?.code == .bundleTooLarge)
    }

    @Test func anArchiveOfTheSystemsTarIsRead() throws {
        // As `tar --format=ustar -cf - .` starts: the folder itself, then names with `./` before them.
        let root = try Self.archive(path: "./", type: UInt8(ascii: "5")).dropLast(1024)
        let file = try Self.archive(path: "./main.py")
        #expect(try Archive.decode(Array(root) + file) == [ArchiveEntry(path: "main.py", kind: .file)])
    }

    @Test func tenThousandDamagedArchivesAreRefusedOrStayInside() throws {
        let whole = try Archive.encode(self.entries)
        let seed = UInt64.random(in: .min ... .max)
        var state = seed
        func random(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for round in 0..<10_000 {
            var bytes = whole
            let header = random(4) * 512
            for _ in 0...random(6) { bytes[header + random(512)] = UInt8(random(256)) }
            // With a checksum that fits, so that the fields behind it are reached.
            let digits = String(ArchiveHeader.checksum(bytes[header..<header + 512]), radix: 8)
            let text = Array((String(repeating: "0", count: 6 - digits.count) + digits).utf8) + [0, 0x20]
            bytes.replaceSubrange(header + 148..<header + 156, with: text)
            do throws(ApusError) {
                for entry in try Archive.decode(bytes) {
                    let isInside = !entry.path.hasPrefix("/") && !entry.path.split(separator: "/").contains("..")
                    #expect(isInside && !entry.path.isEmpty, "seed \(seed), round \(round): \(entry.path)")
                }
            } catch {
                #expect(
                    [.bundleInvalid, .bundleTooLarge].contains(error.code), "seed \(seed), round \(round): \(error)")
            }
        }
    }

    /// An archive with one header written by hand.
    static func archive(path: String, type: UInt8 = UInt8(ascii: "0"), size: String = "00000000000") throws -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func write(_ text: String, _ offset: Int) {
            for (index, byte) in text.utf8.enumerated() { block[offset + index] = byte }
        }
        write(path, 0)
        write("0000644", 100)
        write("0000000", 108)
        write("0000000", 116)
        write(size, 124)
        write("00000000000", 136)
        block[156] = type
        write("ustar\u{0}00", 257)
        let sum = ArchiveHeader.checksum(block[...])
        let digits = String(sum, radix: 8)
        write(String(repeating: "0", count: 6 - digits.count) + digits, 148)
        block[155] = 0x20
        return block + [UInt8](repeating: 0, count: 1024)
    }
}
