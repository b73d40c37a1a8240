internal import ApusCore

/// One header block of an archive, checked.
struct ArchiveHeader: Equatable {
    /// Without `./` at its start and `/` at its end; empty for the folder the archive was made of.
    let path: String
    let kind: ArchiveEntry.Kind
    let size: Int

    init(parsing block: ArraySlice<UInt8>) throws(ApusError) {
        let start = block.startIndex
        let magic = block[start + 257..<start + 265]
        let isPOSIX = magic.elementsEqual("ustar\u{0}00".utf8)
        guard isPOSIX || magic.elementsEqual("ustar  \u{0}".utf8) else {
            throw Archive.invalid("it is not in the ustar format")
        }
        guard let sum = Self.octal(block[start + 148..<start + 156]), sum == Self.checksum(block) else {
            throw Archive.invalid("a header's checksum is wrong")
        }
        guard let size = Self.octal(block[start + 124..<start + 136]),
            let mode = Self.octal(block[start + 100..<start + 108])
        else {
            throw Archive.invalid("a header's number is malformed")
        }
        // In the older format the bytes of the prefix mean something else.
        let prefix = isPOSIX ? Self.field(block[start + 345..<start + 500]) : []
        var path = Self.field(block[start..<start + 100])
        if !prefix.isEmpty { path = prefix + [UInt8(ascii: "/")] + path }
        let name = try Self.normalised(path)
        switch block[start + 156] {
        case UInt8(ascii: "0"), 0:
            guard path.last != UInt8(ascii: "/"), !name.isEmpty else {
                throw Archive.invalid("the file '\(name)' has no name")
            }
            self.kind = mode & 0o100 == 0 ? .file : .executable
        case UInt8(ascii: "5"):
            guard size == 0 else { throw Archive.invalid("the directory '\(name)' has contents") }
            self.kind = .directory
        case UInt8(ascii: "1"), UInt8(ascii: "2"): throw Archive.invalid("'\(name)' is a link; replace it by a copy")
        case let type:
            throw Archive.invalid(
                "'\(name)' is of type \(type): only files and directories are taken (tar --format=ustar)")
        }
        self.path = name
        self.size = size
    }

    /// The sum of the block's bytes with the checksum's own field as spaces.
    static func checksum(_ block: ArraySlice<UInt8>) -> Int {
        var sum = 8 * 0x20
        for (index, byte) in block.enumerated() where !(148..<156).contains(index) { sum += Int(byte) }
        return sum
    }

    private static func field(_ bytes: ArraySlice<UInt8>) -> [UInt8] { Array(bytes.prefix { $0 != 0 }) }

    /// Octal digits, padded by spaces or zero bytes; nil when malformed. At most twelve digits, so it cannot overflow.
    private static func octal(_ bytes: ArraySlice<UInt8>) -> Int? {
        let digits = bytes.drop { $0 == 0x20 }.prefix { $0 != 0x20 && $0 != 0 }
        guard !digits.isEmpty else { return nil }
        var value = 0
        for digit in digits {
            guard (UInt8(ascii: "0")...UInt8(ascii: "7")).contains(digit) else { return nil }
            value = value << 3 | Int(digit - UInt8(ascii: "0"))
        }
        return value
    }

    private static func normalised(_ bytes: [UInt8]) throws(ApusError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw Archive.invalid("a path is not UTF-8") }
        var path = text[...]
        while path.hasPrefix("./") { path = path.dropFirst(2) }
        if path.hasSuffix("/") && path.utf8.count > 1 { path = path.dropLast() }
        return path == "." ? "" : String(path)
    }
}
