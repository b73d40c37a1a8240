internal import ApusCore
internal import Glibc

/// Whose processes are ours: those that descend from the nursery, the parent of every worker. Drivers name processes as the host does,
/// so that it is the host's own tree that is looked at.
struct ProcessTree {
    /// The nursery's, or another's whose descendants are meant.
    let root: Int32
    private static let depthMax = 64

    /// - Returns: whether it descends from the root; false for one that is gone or that this server cannot see.
    func holds(_ pid: Int32) -> Bool {
        var pid = pid
        for _ in 0..<Self.depthMax {
            guard pid > 1, let parent = Self.parent(of: pid) else { return false }
            if parent == self.root { return true }
            pid = parent
        }
        return false
    }

    private static func parent(of pid: Int32) -> Int32? {
        let descriptor = open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 512)
        let count = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
        guard count > 0 else { return nil }
        // `pid (name) state parent …`: a name may hold parentheses and spaces, so that its last one counts.
        let text = bytes.prefix(count)
        guard let end = text.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = text[(end + 1)...].split(separator: UInt8(ascii: " "))
        return fields.count > 1 ? Int32(String(decoding: fields[1], as: UTF8.self)) : nil
    }
}
