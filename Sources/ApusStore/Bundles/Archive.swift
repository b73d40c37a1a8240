public import ApusCore

/// A bundle as one run of bytes: a tar archive in the ustar format with files and directories and nothing else.
///
/// ``encode(_:)`` is deterministic: entries sorted by path, no owner and no time, so that the same files have the same bytes and
/// so the same content hash. ``decode(_:)`` takes any ustar archive within ``Limits/Bundle`` and refuses what could reach outside
/// the folder it is unpacked to: links, devices, absolute paths, `..`, paths named twice, a file used as a folder.
public enum Archive {
    static let blockBytes = 512
    static let nameBytes = 100
    static let prefixBytes = 155

    /// - Throws: `bundle_invalid` when a path does not fit the format, `bundle_too_large` above the bounds.
    public static func encode(_ entries: [ArchiveEntry]) throws(ApusError) -> [UInt8] {
        let sorted = entries.sorted { $0.path.utf8.lexicographicallyPrecedes($1.path.utf8) }
        var paths = ArchivePaths()
        var total = 2 * Self.blockBytes
        for entry in sorted {
            try paths.add(entry.path, isDirectory: entry.kind == .directory)
            total += Self.blockBytes + Self.padded(entry.contents.count)
            try Self.checkSize(total)
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(total)
        for entry in sorted {
            bytes.append(contentsOf: try Self.header(of: entry))
            bytes.append(contentsOf: entry.contents)
            bytes.append(contentsOf: repeatElement(0, count: Self.padded(entry.contents.count) - entry.contents.count))
        }
        bytes.append(contentsOf: repeatElement(0, count: 2 * Self.blockBytes))
        return bytes
    }

    /// - Throws: `bundle_invalid` or `bundle_too_large`.
    public static func decode(_ bytes: [UInt8]) throws(ApusError) -> [ArchiveEntry] {
        try Self.checkSize(bytes.count)
        guard bytes.count % Self.blockBytes == 0 else { throw Self.invalid("its length is no multiple of 512") }
        var entries: [ArchiveEntry] = []
        var paths = ArchivePaths()
        var at = 0
        while at < bytes.count {
            let block = bytes[at..<at + Self.blockBytes]
            if block.allSatisfy({ $0 == 0 }) {
                guard bytes[at...].allSatisfy({ $0 == 0 }) else { throw Self.invalid("bytes follow its end") }
                return entries
            }
            let header = try ArchiveHeader(parsing: block)
            at += Self.blockBytes
            guard header.size <= bytes.count - at else {
                throw Self.invalid("'\(header.path)' is longer than the archive")
            }
            // The folder the archive was made of, which some writers name: nothing to make.
            if !header.path.isEmpty {
                try paths.add(header.path, isDirectory: header.kind == .directory)
                entries.append(
                    ArchiveEntry(path: header.path, kind: header.kind, contents: Array(bytes[at..<at + header.size])))
            }
            at += min(Self.padded(header.size), bytes.count - at)
        }
        throw Self.invalid("its end is missing")
    }

    static func padded(_ count: Int) -> Int { (count + Self.blockBytes - 1) / Self.blockBytes * Self.blockBytes }

    static func invalid(_ reason: String) -> ApusError {
        ApusError(.bundleInvalid, "the bundle is no archive that can be unpacked: \(reason)")
    }

    private static func checkSize(_ count: Int) throws(ApusError) {
        guard count <= Limits.Bundle.archiveBytes else {
            throw ApusError(
                .bundleTooLarge,
                "the bundle has more than \(Limits.Bundle.archiveBytes) bytes: list what the function does not need in .apusignore"
            )
        }
    }

    private static func header(of entry: ArchiveEntry) throws(ApusError) -> [UInt8] {
        let isDirectory = entry.kind == .directory
        let (prefix, name) = try Self.split(entry.path + (isDirectory ? "/" : ""))
        var block = [UInt8](repeating: 0, count: Self.blockBytes)
        Self.write(name, to: &block, at: 0)
        Self.write(entry.kind == .file ? "0000644" : "0000755", to: &block, at: 100)
        Self.write("0000000", to: &block, at: 108)
        Self.write("0000000", to: &block, at: 116)
        Self.write(Self.octal(entry.contents.count, digits: 11), to: &block, at: 124)
        Self.write("00000000000", to: &block, at: 136)
        block[156] = isDirectory ? UInt8(ascii: "5") : UInt8(ascii: "0")
        Self.write("ustar\u{0}00", to: &block, at: 257)
        Self.write(prefix, to: &block, at: 345)
        let sum = ArchiveHeader.checksum(block[...])
        Self.write(Self.octal(sum, digits: 6), to: &block, at: 148)
        block[155] = UInt8(ascii: " ")
        return block
    }

    /// Splits a path into the format's two fields, at the first `/` that leaves a name that fits.
    private static func split(_ path: String) throws(ApusError) -> (prefix: String, name: String) {
        let bytes = Array(path.utf8)
        if bytes.count <= Self.nameBytes { return ("", path) }
        let earliest = bytes.count - Self.nameBytes - 1
        for index in max(earliest, 1)..<bytes.count - 1
        where bytes[index] == UInt8(ascii: "/") && index <= Self.prefixBytes {
            return (
                String(decoding: bytes[..<index], as: UTF8.self), String(decoding: bytes[(index + 1)...], as: UTF8.self)
            )
        }
        throw Self.invalid("the path '\(path)' is too long: at most 100 bytes for a name and 155 for its folders")
    }

    private static func write(_ text: String, to block: inout [UInt8], at offset: Int) {
        for (index, byte) in text.utf8.enumerated() { block[offset + index] = byte }
    }

    private static func octal(_ value: Int, digits: Int) -> String {
        let text = String(value, radix: 8)
        return String(repeating: "0", count: digits - text.count) + text
    }
}
