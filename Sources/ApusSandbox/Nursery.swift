public import ApusCore
internal import CShims
internal import Glibc

/// The nursery as the server sees it after starting it: one channel per shard, and what the host can enforce.
///
/// Start it as root and before any thread exists, then drop privileges with ``Privileges/drop(to:)`` (without root,
/// ``Privileges/forgo()``), then give each
/// shard's loop a ``NurseryClient``. When every channel is closed the nursery ends all sandboxes and itself.
public struct Nursery: Sendable {
    public struct Configuration: Sendable {
        /// The nursery's program.
        public var executable: String
        /// Where `bundles/` and `layers/` are; owned by the server's user.
        public var dataDirectory: String
        /// Holds `python/apus/__main__.py`.
        public var runtimes: String
        /// Holds `python.profile` and the others.
        public var profiles: String
        public var shards: Int
        /// Sandboxes that may exist at once.
        public var slots: Int
        /// Sandboxes in a user namespace of whoever runs the server.
        public var isRootless: Bool
        /// The first uid tried for the server's own block; blocks in use are skipped.
        public var uidBase: UInt32
        /// Goes before the paths of devices: a folder with `dev`, `proc` and `sys` in place of the host's, for tests.
        public var deviceRoot = ""

        public init(
            executable: String, dataDirectory: String, runtimes: String, profiles: String, shards: Int = 1,
            slots: Int = 256, uidBase: UInt32 = 2_000_000_000, isRootless: Bool = false
        ) {
            self.executable = executable
            self.dataDirectory = dataDirectory
            self.runtimes = runtimes
            self.profiles = profiles
            self.shards = shards
            self.slots = slots
            self.uidBase = uidBase
            self.isRootless = isRootless
        }
    }

    /// The server's ends, one per shard. Each belongs to the client it is given to.
    public let channels: [CInt]
    public let process: Int32
    public let report: HostReport

    /// Starts the nursery and waits until it is ready.
    ///
    /// - Throws: `needs_root` when not root; `sandbox_unavailable` when it cannot start, its own words being on
    ///   standard error.
    public static func start(_ configuration: Configuration) throws(ApusError) -> Nursery {
        guard configuration.isRootless || geteuid() == 0 else { throw Privileges.needsRoot }
        guard (1...Limits.Sandbox.shards).contains(configuration.shards) else {
            throw ApusError(.invalidArgument, "the number of shards must be from 1 to \(Limits.Sandbox.shards)")
        }
        guard access(configuration.executable, X_OK) == 0 else {
            throw ApusError(
                .sandboxUnavailable, "the nursery is missing at \(configuration.executable): install Apus again")
        }
        let data = open(configuration.dataDirectory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard data >= 0 else {
            throw ApusError(
                .dataDirectoryInvalid,
                "cannot open the data directory \(configuration.dataDirectory): \(errorText(errno))")
        }
        defer { close(data) }
        return try Self.spawn(configuration, data: data)
    }

    private static func spawn(_ configuration: Configuration, data: CInt) throws(ApusError) -> Nursery {
        var ours: [CInt] = []
        var theirs: [CInt] = []
        defer { for descriptor in theirs { close(descriptor) } }
        for _ in 0..<configuration.shards {
            var ends: (CInt, CInt) = (-1, -1)
            let result = withUnsafeMutablePointer(to: &ends) {
                $0.withMemoryRebound(to: CInt.self, capacity: 2) { apus_packet_pair($0) }
            }
            guard result == 0 else { throw Self.failed("no socket for it: \(errorText(-result))", ours) }
            ours.append(ends.0)
            theirs.append(ends.1)
        }
        let arguments =
            [
                configuration.executable, "--channels", "\(configuration.shards)", "--slots", "\(configuration.slots)",
                "--uid-base",
                "\(configuration.uidBase)", "--runtimes", configuration.runtimes, "--profiles", configuration.profiles,
                "--rootless", configuration.isRootless ? "1" : "0",
            ]
            + (configuration.deviceRoot.isEmpty ? [] : ["--gpu-root", configuration.deviceRoot])
        let process = withStrings(arguments) {
            apus_spawn_nursery(configuration.executable, $0, theirs + [data], CInt(theirs.count + 1))
        }
        guard process > 0 else { throw Self.failed("no process for it: \(errorText(-process))", ours) }
        // Its ends close here, so that its death is seen as the end of each channel.
        for descriptor in theirs { close(descriptor) }
        theirs = []
        var report: HostReport?
        for channel in ours {
            guard let (event, audit) = Self.awaitReport(channel) else {
                kill(process, SIGKILL)
                var status: CInt = 0
                _ = apus_wait_for(process, &status)
                throw Self.failed("it ended or did not answer; its reason is on standard error", ours)
            }
            let known = report?.audit
            report = HostReport(event)
            report?.audit = known ?? audit
        }
        guard let report else { throw Self.failed("it has no channel", ours) }
        return Nursery(channels: ours, process: process, report: report)
    }

    private static func awaitReport(_ channel: CInt) -> (nursery_event, DenialAudit?)? {
        guard apus_wait_readable(channel, Limits.Sandbox.nurseryStartMilliseconds) == 1 else { return nil }
        var event = nursery_event()
        var descriptors = [CInt](repeating: -1, count: Int(NURSERY_DESCRIPTORS))
        var count: CInt = 0
        let length = apus_receive_event(channel, &event, &descriptors, &count)
        let audits = descriptors.prefix(Int(count)).map { DenialAudit($0) }
        guard length == MemoryLayout<nursery_event>.size, event.magic == NURSERY_MAGIC,
            event.kind == NURSERY_REPORT.rawValue
        else { return nil }
        return (event, audits.first ?? nil)
    }

    private static func failed(_ reason: String, _ channels: [CInt]) -> ApusError {
        for channel in channels { close(channel) }
        return ApusError(.sandboxUnavailable, "the nursery did not start: \(reason)")
    }
}

/// What the system says about an error number.
func errorText(_ number: CInt) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    guard strerror_r(number, &buffer, buffer.count) == 0 else { return "error \(number)" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

/// Lends `strings` as a C array ended by a null pointer.
private func withStrings<Result>(_ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result)
    -> Result
{
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return body(pointers)
}
