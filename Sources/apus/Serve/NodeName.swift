internal import ApusCore
internal import Glibc

/// What a server is called among those that share its work: made at its first start, the same from then on.
enum NodeName {
    /// Longest name; Kafka puts it into the names of its own.
    static let maxBytes = 64

    /// The name in `run/node`; makes the file when it is missing.
    /// - Throws: `data_directory_invalid`.
    static func load(in folder: String) throws(ApusError) -> String {
        let path = "\(folder)/run/node"
        if let name = try Self.read(path) { return name }
        let name = "n" + String(UInt64.random(in: 0 ... .max), radix: 36)
        // Written whole under another name first: a crash leaves no empty one.
        let partial = "\(path).partial"
        unlink(partial)
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure(partial) }
        let bytes = Array("\(name)\n".utf8)
        let isWritten = write(descriptor, bytes, bytes.count) == bytes.count && fsync(descriptor) == 0
        close(descriptor)
        guard isWritten, rename(partial, path) == 0 else { throw Self.failure(path) }
        return name
    }

    static func isWellFormed(_ name: String) -> Bool {
        (1...Self.maxBytes).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || [UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ".")].contains(byte)
            }
    }

    private static func read(_ path: String) throws(ApusError) -> String? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else {
            guard errno == ENOENT else { throw Self.failure(path) }
            return nil
        }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.maxBytes + 1)
        let count = Glibc.read(descriptor, &bytes, bytes.count)
        let name = String(decoding: bytes.prefix(max(0, count)).prefix { $0 > 0x20 }, as: UTF8.self)
        guard Self.isWellFormed(name) else {
            throw ApusError(
                .dataDirectoryInvalid,
                "'\(path)' holds no name of a node: delete it, and the next start makes a new one")
        }
        return name
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(
            .dataDirectoryInvalid,
            "'\(path)': \(String(cString: strerror(errno))); check that the folder belongs to the server's user")
    }
}
