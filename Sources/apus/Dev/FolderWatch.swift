internal import ApusCore
internal import ApusStore
internal import Glibc

/// Tells when something below a folder changed that a bundle would hold, by inotify.
///
/// Folders that appear later are watched too. What the rules leave out is not looked at, so that builds and editors may write there as
/// they like.
final class FolderWatch {
    private let root: String
    private let rules: IgnoreRules
    private let folderMost: Int
    private let descriptor: CInt
    /// Relative paths of the watched folders; the root is empty.
    private var folders: [CInt: String] = [:]

    /// What a file or folder goes through that matters: a file counts once its writer is done.
    private static let mask = UInt32(
        IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF)

    /// - Parameter isBuilt: the folder holds what a bundle is built from: what `.gitignore` leaves out is not looked at, instead of what
    ///   `.apusignore` does, which leaves out the sources themselves.
    /// - Throws: `invalid_argument` when the folder cannot be watched, `limit_reached` when there are too many folders in it.
    init(_ root: String, isBuilt: Bool = false, folderMost: Int = Limits.Commands.watchedFolders) throws(ApusError) {
        self.root = root
        self.folderMost = folderMost
        self.rules = isBuilt ? try Self.sourceRules(of: root) : try Bundler.rules(of: root)
        self.descriptor = inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK))
        guard self.descriptor >= 0 else { throw Self.failure(root) }
        try self.watch("")
    }

    private static func sourceRules(of root: String) throws(ApusError) -> IgnoreRules {
        let path = "\(root)/.gitignore"
        guard access(path, F_OK) == 0 else { return try IgnoreRules() }
        let bytes = try DataArgument.readFile(path, limit: Limits.Commands.manifestBytes)
        return try IgnoreRules(String(decoding: bytes, as: UTF8.self), file: path)
    }

    deinit { if self.descriptor >= 0 { close(self.descriptor) } }

    /// How many folders are watched.
    var count: Int { self.folders.count }
    /// Readable when something happened.
    var signal: CInt { self.descriptor }

    /// Takes in what happened, without waiting.
    /// - Returns: paths, relative to the root, that changed and count.
    func changes() throws(ApusError) -> Set<String> {
        var changed: Set<String> = []
        var buffer = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = buffer.withUnsafeMutableBytes { read(self.descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return changed }
            for event in Self.events(buffer[..<count]) { try self.take(event, into: &changed) }
        }
    }

    private struct Event {
        var watch: CInt
        var mask: UInt32
        var name: String
    }

    /// As `inotify(7)` lays them out: watch, mask, cookie, length, name with NULs behind it.
    private static func events(_ bytes: ArraySlice<UInt8>) -> [Event] {
        var events: [Event] = []
        var rest = bytes
        while rest.count >= 16 {
            let words = rest.prefix(16).withUnsafeBytes { raw in
                (
                    raw.loadUnaligned(as: Int32.self), raw.loadUnaligned(fromByteOffset: 4, as: UInt32.self),
                    raw.loadUnaligned(fromByteOffset: 12, as: UInt32.self)
                )
            }
            let name = rest.dropFirst(16).prefix(Int(words.2)).prefix { $0 != 0 }
            events.append(Event(watch: words.0, mask: words.1, name: String(decoding: name, as: UTF8.self)))
            rest = rest.dropFirst(16 + Int(words.2))
        }
        return events
    }

    private func take(_ event: Event, into changed: inout Set<String>) throws(ApusError) {
        if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
            // Something was lost: everything may have changed.
            changed.insert("")
            return
        }
        guard let folder = self.folders[event.watch] else { return }
        if event.mask & UInt32(IN_IGNORED) != 0 {
            self.folders[event.watch] = nil
            return
        }
        let path = folder.isEmpty ? event.name : "\(folder)/\(event.name)"
        let isFolder = event.mask & UInt32(IN_ISDIR) != 0
        guard !event.name.isEmpty, !self.rules.ignores(path, isDirectory: isFolder) || path == ".apusignore" else {
            return
        }
        if isFolder, event.mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0 { try self.watch(path) }
        // A file that was just made says no more than that its writer has begun.
        if isFolder || event.mask & UInt32(IN_CREATE) == 0 { changed.insert(path) }
    }

    /// Watches a folder and those in it.
    private func watch(_ folder: String) throws(ApusError) {
        guard self.folders.count < self.folderMost else {
            throw ApusError(
                .limitReached,
                "'\(self.root)' holds more than \(self.folderMost) folders: name those that need no watching in .apusignore"
            )
        }
        let path = folder.isEmpty ? self.root : "\(self.root)/\(folder)"
        let watch = inotify_add_watch(self.descriptor, path, Self.mask)
        // What went away before it could be watched tells of itself by the folder it was in.
        guard watch >= 0 else {
            if folder.isEmpty || errno != ENOENT && errno != ENOTDIR { throw Self.failure(path) }
            return
        }
        self.folders[watch] = folder
        guard let directory = opendir(path) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            let below = folder.isEmpty ? name : "\(folder)/\(name)"
            guard entry.pointee.d_type == UInt8(DT_DIR), name != ".", name != "..",
                !self.rules.ignores(below, isDirectory: true)
            else { continue }
            try self.watch(below)
        }
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(
            .invalidArgument,
            "'\(path)' cannot be watched: \(String(cString: strerror(errno))); where too many files are watched, raise fs.inotify.max_user_watches"
        )
    }
}
