public import ApusCore
internal import ApusCrypto
internal import Glibc

/// Reads master keys from a file: a key of 64 hexadecimal digits on a line, the newest last; empty lines and those that begin with
/// `#` do not count.
public enum MasterKeyFile {
    /// The file of a key that was made because none was given, in `run` of the data directory.
    public static let generatedName = "master.key"

    /// The keys that whoever runs the machine gave: a file, or the systemd credential `apus.key`. As root, before privileges go.
    /// - Parameters:
    ///   - path: nil where no file was named.
    ///   - credentials: `CREDENTIALS_DIRECTORY`, which systemd protects by itself.
    /// - Returns: nil when neither is there.
    /// - Throws: `configuration_invalid`.
    public static func given(_ path: String?, credentials: String?, dataDirectory: String) throws(ApusError)
        -> MasterKeys?
    {
        if let path {
            try Self.checkOutside(dataDirectory, path)
            return try Self.read(path, isProtected: false, isGenerated: false)
        }
        guard let credentials, !credentials.isEmpty else { return nil }
        let credential = "\(credentials)/apus.key"
        guard access(credential, F_OK) == 0 else { return nil }
        return try Self.read(credential, isProtected: true, isGenerated: false)
    }

    /// The key of the data directory. As the server's user.
    /// - Parameter makes: whether one is made when there is none.
    /// - Returns: nil when there is none and none is to be made.
    /// - Throws: `configuration_invalid`, `data_directory_invalid`.
    public static func generated(in folder: String, makes: Bool) throws(ApusError) -> MasterKeys? {
        let path = "\(folder)/\(Self.generatedName)"
        if access(path, F_OK) != 0 {
            guard makes else { return nil }
            let text = "\(Random.token(bytes: AEAD.keyBytes))\n"
            // Written whole under another name first: a crash leaves no half of a key.
            let partial = "\(path).partial"
            try FileTree.remove(partial)
            try FileTree.writeNew(partial, Array(text.utf8), mode: 0o600)
            guard rename(partial, path) == 0 else { throw FileTree.failure("rename", partial) }
            try FileTree.sync(folder)
        }
        return try Self.read(path, isProtected: false, isGenerated: true)
    }

    /// A copy of the data directory must not hold what opens it.
    private static func checkOutside(_ dataDirectory: String, _ path: String) throws(ApusError) {
        guard let file = realpath(path, nil) else { return }
        defer { free(file) }
        guard let folder = realpath(dataDirectory, nil) else { return }
        defer { free(folder) }
        if String(cString: file).hasPrefix(String(cString: folder) + "/") {
            throw ApusError(
                .configurationInvalid,
                "`keyFile`: '\(path)' lies in the data directory, where a copy of the data takes it along: move it elsewhere, as /etc/apus/apus.key"
            )
        }
    }

    private static func read(_ path: String, isProtected: Bool, isGenerated: Bool) throws(ApusError) -> MasterKeys {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw Self.wrong(path, "it cannot be read: \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            throw Self.wrong(path, "it is not a regular file")
        }
        guard isProtected || status.st_mode & 0o077 == 0 else {
            throw Self.wrong(path, "others may read it: `chmod 600 \(path)`")
        }
        guard isProtected || status.st_uid == 0 || status.st_uid == geteuid() else {
            throw Self.wrong(path, "it belongs to user \(status.st_uid), who could change it: `chown root \(path)`")
        }
        var text = SecretBytes(capacity: Limits.Secrets.keyFileBytes + 1)
        while true {
            var isAtEnd = false
            withUnsafeTemporaryAllocation(byteCount: 4_096, alignment: 16) { chunk in
                let count = Glibc.read(descriptor, chunk.baseAddress, chunk.count)
                isAtEnd = count <= 0 || !text.append(UnsafeRawBufferPointer(rebasing: chunk[..<max(0, count)]))
                if let base = chunk.baseAddress { explicit_bzero(base, chunk.count) }
            }
            if isAtEnd { break }
        }
        guard text.count <= Limits.Secrets.keyFileBytes else {
            throw Self.wrong(path, "it has more than \(Limits.Secrets.keyFileBytes) bytes")
        }
        let keys = try text.withUnsafeBytes { (bytes) throws(ApusError) in try Self.parse(bytes, path) }
        return MasterKeys(keys, origin: path, isGenerated: isGenerated)
    }

    static func parse(_ bytes: UnsafeRawBufferPointer, _ path: String) throws(ApusError) -> [MasterKey] {
        var keys: [MasterKey] = []
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            var line = line[...]
            while let last = line.last, [0x20, 0x09, 0x0D].contains(last) { line = line.dropLast() }
            while let first = line.first, [0x20, 0x09].contains(first) { line = line.dropFirst() }
            if line.isEmpty || line.first == UInt8(ascii: "#") { continue }
            guard let key = Self.key(line) else {
                throw Self.wrong(
                    path,
                    "line \(number) is no key, which has \(2 * AEAD.keyBytes) hexadecimal digits: `openssl rand -hex \(AEAD.keyBytes)` prints one"
                )
            }
            guard !keys.contains(where: { $0.id == key.id }) else {
                throw Self.wrong(path, "line \(number) says a key for the second time")
            }
            keys.append(key)
            guard keys.count <= Limits.Secrets.keys else {
                throw Self.wrong(path, "it has more than \(Limits.Secrets.keys) keys: remove those that seal nothing")
            }
        }
        guard !keys.isEmpty else {
            throw Self.wrong(path, "it holds no key: `openssl rand -hex \(AEAD.keyBytes)` prints one")
        }
        return keys
    }

    private static func key(_ line: Slice<UnsafeRawBufferPointer>) -> MasterKey? {
        guard line.count == 2 * AEAD.keyBytes else { return nil }
        var key = SecretBytes(capacity: AEAD.keyBytes)
        var high: UInt8?
        for digit in line {
            guard let value = Hex.value(digit) else { return nil }
            if let before = high {
                guard key.append(CollectionOfOne(before << 4 | value)) else { return nil }
                high = nil
            } else {
                high = value
            }
        }
        return MasterKey(key)
    }

    private static func wrong(_ path: String, _ what: String) -> ApusError {
        ApusError(.configurationInvalid, "the key file '\(path)' cannot be used: \(what)")
    }
}
