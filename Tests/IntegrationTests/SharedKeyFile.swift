import ApusTestSupport
import Glibc
import Testing

/// What one server writes to Kafka the others only believe under the key of all; the file goes with the value.
final class SharedKeyFile: Sendable {
    private let folder = ScratchDirectory("apus-key", in: "/var/tmp")
    var path: String { "\(self.folder.path)/key" }

    init() throws {
        try writeFile(self.path, String(repeating: "ab", count: 32))
        #expect(chmod(self.path, 0o600) == 0)
    }
}
