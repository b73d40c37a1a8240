internal import ApusCore
internal import Glibc

/// Where a command finds the token it shows to the server.
struct TokenSearch {
    /// Nil when none was found.
    let token: String?
    /// What to say when the server wants another one.
    let hint: String

    private static let fileBytes = 1_024

    /// - Parameter given: from `--token` or `APUS_TOKEN`, which goes before any file.
    /// - Parameter folders: data directories to look in, the nearest first.
    init(given: String?, server: ServerAddress, folders: [String]) {
        if let given {
            self.token = given
            self.hint = "check --token or APUS_TOKEN"
            return
        }
        guard server.isLoopback else {
            self.token = nil
            self.hint = "give a token with --token or APUS_TOKEN"
            return
        }
        var closed: [String] = []
        for folder in folders {
            let path = "\(folder)/run/admin.token"
            switch Self.read(path) {
            case .success(let token):
                self.token = token
                self.hint =
                    "the token of '\(path)' is not this server's: point APUS_DATA at its data directory, or set APUS_TOKEN"
                return
            case .failure(let error) where error.number == EACCES: closed.append(path)
            case .failure: continue
            }
        }
        self.token = nil
        self.hint =
            closed.isEmpty
            ? "set APUS_TOKEN, or APUS_DATA to the server's data directory (looked in \(folders.joined(separator: ", ")))"
            : "'\(closed[0])' may be read by its owner only: run this as that user or as root, or set APUS_TOKEN"
    }

    private struct SystemError: Error { var number: CInt }

    private static func read(_ path: String) -> Result<String, SystemError> {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return .failure(SystemError(number: errno)) }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Self.fileBytes)
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return .failure(SystemError(number: count == 0 ? ENOENT : errno)) }
        let token = bytes[..<count].prefix { (0x21...0x7E).contains($0) }
        return token.isEmpty ? .failure(SystemError(number: ENOENT)) : .success(String(decoding: token, as: UTF8.self))
    }
}
