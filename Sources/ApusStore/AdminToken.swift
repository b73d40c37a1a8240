public import ApusCore
internal import Glibc

/// The token of whoever runs the server: made at its first start, readable by the server's user only, found by the command line
/// of that user by itself.
public struct AdminToken: Sendable {
    private let text: String
    /// What a file may hold: a token of ours and a line break, or a longer one that a person put there.
    private static let fileBytes = 1_024
    private static let leastCharacters = 32

    /// The token of `run/admin.token`; makes the file when it is missing.
    /// - Parameter folder: `run` of the data directory, which is there.
    /// - Throws: `data_directory_invalid` when the file cannot be read or holds no token, or others may read it.
    public static func load(in folder: String) throws(ApusError) -> AdminToken {
        let path = "\(folder)/admin.token"
        if access(path, F_OK) != 0 {
            // Written whole under another name first: a crash leaves no empty token.
            let partial = "\(path).partial"
            try FileTree.remove(partial)
            try FileTree.writeNew(partial, Array("\(AccessToken.make().text)\n".utf8), mode: 0o600)
            guard rename(partial, path) == 0 else { throw FileTree.failure("rename", partial) }
            try FileTree.sync(folder)
        }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw FileTree.failure("stat", path) }
        guard status.st_mode & 0o077 == 0 else {
            throw ApusError(
                .dataDirectoryInvalid,
                "others may read the admin token '\(path)': delete it, and the next start makes a new one")
        }
        let bytes = try FileTree.read(path, limit: Self.fileBytes)
        let isSpace: (UInt8) -> Bool = { $0 == 0x0A || $0 == 0x0D || $0 == 0x20 }
        let token = Array(bytes.prefix { !isSpace($0) })
        guard token.count >= Self.leastCharacters, bytes.count <= Self.fileBytes,
            bytes[token.count...].allSatisfy(isSpace),
            token.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw ApusError(
                .dataDirectoryInvalid, "'\(path)' holds no token: delete it, and the next start makes a new one")
        }
        return AdminToken(text: String(decoding: token, as: UTF8.self))
    }

    private init(text: String) { self.text = text }

    /// What callers' tokens are compared by.
    public var hash: TokenHash { TokenHash(of: self.text) }

    /// For those who start a server and call it: tests and the demonstration.
    public var value: String { self.text }
}
