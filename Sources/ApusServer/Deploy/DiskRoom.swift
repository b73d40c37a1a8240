internal import ApusCore
internal import Glibc

/// What a file system has left for the server.
struct DiskRoom: Sendable, Equatable {
    var bytes: UInt64
    /// 0 where the file system does not count them.
    var files: UInt64

    static func left(at path: String) -> DiskRoom? {
        var about = statvfs()
        guard statvfs(path, &about) == 0 else { return nil }
        return DiskRoom(bytes: UInt64(about.f_bavail) * UInt64(about.f_frsize), files: UInt64(about.f_favail))
    }

    /// Whether more than a build may take is gone since `before`.
    func isFarBelow(_ before: DiskRoom) -> Bool {
        self.bytes + Limits.Server.buildDiskBytes < before.bytes
            || self.files + Limits.Server.buildDiskFiles < before.files
    }
}
