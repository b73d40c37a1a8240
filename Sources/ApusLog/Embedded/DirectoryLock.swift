internal import ApusCore
internal import ApusLoop
internal import Glibc

/// The data directory, held by one server at a time: LMDB itself would let two in.
///
/// The lock is on the directory, so that it leaves no file behind, and ends with the process however that ends.
struct DirectoryLock: ~Copyable, Sendable {
    private let descriptor: OwnedDescriptor

    private init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }

    /// Makes the directory when it is missing.
    /// - Throws: `data_directory_in_use`, `data_directory_invalid`.
    static func take(_ directory: String) throws(ApusError) -> DirectoryLock {
        if mkdir(directory, 0o700) != 0, errno != EEXIST { throw Self.invalid(directory, "cannot make") }
        let opened = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw Self.invalid(directory, "cannot open") }
        let descriptor = OwnedDescriptor(adopting: opened)
        guard flock(descriptor.rawValue, LOCK_EX | LOCK_NB) == 0 else {
            guard errno == EWOULDBLOCK else { throw Self.invalid(directory, "cannot lock") }
            throw ApusError(
                .dataDirectoryInUse,
                "another server uses the data directory \(directory): stop it or choose another directory"
            )
        }
        return DirectoryLock(descriptor)
    }

    /// Makes names of new files in the directory durable.
    func sync() throws(ApusError) {
        if fsync(self.descriptor.rawValue) != 0 { throw Self.invalid("of the event log", "cannot sync") }
    }

    private static func invalid(_ directory: String, _ what: String) -> ApusError {
        ApusError(.dataDirectoryInvalid, "\(what) the data directory \(directory): \(String(cString: strerror(errno)))")
    }
}
