internal import ApusCore
internal import ApusLoop
internal import Glibc

/// A small file that is there while a log without `fsync` is open. It holds the boot id: when the machine was started
/// anew since, what the kernel had not written yet is lost and the file may be damaged.
struct BootMarker {
    let path: String

    init(log: String) { self.path = log + "-boot" }

    /// The boot in which the log was last left open; nil after a clean close.
    func read() throws(ApusError) -> String? {
        let descriptor = open(self.path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw self.failure("read")
        }
        let file = OwnedDescriptor(adopting: descriptor)
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 128) { buffer, initialized in
            count = Glibc.read(file.rawValue, buffer.baseAddress, 128)
            initialized = max(0, count)
        }
        guard count >= 0 else { throw self.failure("read") }
        return String(decoding: bytes, as: UTF8.self)
    }

    func write(_ bootID: String) throws(ApusError) {
        let descriptor = open(self.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw self.failure("write") }
        let file = OwnedDescriptor(adopting: descriptor)
        let bytes = Array(bootID.utf8.prefix(128))
        let written = bytes.withUnsafeBytes { Glibc.write(file.rawValue, $0.baseAddress, $0.count) }
        guard written == bytes.count, fsync(file.rawValue) == 0 else { throw self.failure("write") }
    }

    func remove() throws(ApusError) {
        if unlink(self.path) != 0, errno != ENOENT { throw self.failure("remove") }
    }

    private func failure(_ what: String) -> ApusError {
        ApusError(.logFailed, "cannot \(what) \(self.path): \(String(cString: strerror(errno)))")
    }
}
