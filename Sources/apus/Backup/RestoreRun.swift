internal import ApusCore
internal import ApusLog
internal import ApusServer
internal import ApusStore
internal import Glibc

/// Fills an empty data directory from a backup, or checks one. Everything is made in a folder beside what it will be, and moved to
/// its place once the backup was read to its end without a fault: the log last, so that no half of it is ever served.
enum RestoreRun {
    static func verify(_ source: BackupSource, _ progress: BackupProgress) throws -> BackupCounts {
        try Self.read(source, progress) { _ in }
    }

    static func restore(_ source: BackupSource, into folder: String, _ progress: BackupProgress) throws -> BackupCounts
    {
        let target = try RestoreTarget(folder)
        do {
            var sink: RestoreSink?
            let counts = try Self.read(source, progress) { part in
                if case .head(let head) = part {
                    sink = try RestoreSink(target.staging, head)
                } else {
                    try sink?.take(part)
                }
            }
            try sink?.finish()
            try target.publish()
            return counts
        } catch {
            target.abandon()
            throw error
        }
    }

    /// Moves a backup into an empty cluster. It is read twice: nothing is written before all of it was checked.
    static func restore(
        _ source: BackupSource, again: BackupSource, into configuration: KafkaLogConfiguration, _ seal: RecordSeal,
        _ progress: BackupProgress
    ) throws -> (counts: BackupCounts, renamed: Int) {
        var bundles: [String: String] = [:]
        var archive: [UInt8] = []
        _ = try Self.read(source, progress) { part in
            guard case .bundle(let hash, let isLast, let bytes) = part else { return }
            guard archive.count + bytes.count <= Limits.Backup.bundleBytes else {
                throw ApusError(.backupInvalid, "a bundle of the backup is not whole: use another backup")
            }
            archive += bytes
            guard isLast else { return }
            let actual = BundleHash.of(archive)
            if actual != hash { bundles[hash] = actual }
            archive = []
        }
        var restore: KafkaRestore?
        do {
            let counts = try Self.read(again, progress) { part in
                if case .head(let head) = part {
                    restore = try KafkaRestore(configuration, head, seal, bundles: bundles)
                }
                try restore?.take(part)
            }
            try restore?.finish()
            return (counts, restore?.renamed ?? 0)
        } catch {
            // What went wrong first is what is told.
            do throws(ApusError) { try restore?.abandon() } catch {}
            throw error
        }
    }

    private static func read(_ source: BackupSource, _ progress: BackupProgress, _ take: (BackupPart) throws -> Void)
        throws
        -> BackupCounts
    {
        var progress = progress
        defer { progress.end() }
        var decoder = BackupDecoder()
        while true {
            let bytes = try source.read()
            guard !bytes.isEmpty else { break }
            decoder.append(bytes)
            while let part = try decoder.next() {
                if case .failure(let error) = part {
                    throw ApusError(
                        .backupInvalid, "this backup was ended by the server before it was whole: \(error.message)")
                }
                try take(part)
            }
            progress.show(decoder.counts)
        }
        try decoder.finish()
        return decoder.counts
    }
}

/// Takes the parts of one backup into a folder.
private final class RestoreSink {
    private let log: LogRestore
    private let bundles: BundleStore
    private var hash = ""
    private var archive: [UInt8] = []

    init(_ folder: String, _ head: BackupHead) throws {
        self.bundles = try BundleStore(folder: "\(folder)/bundles")
        self.log = try LogRestore(directory: folder, configuration: EmbeddedLogConfiguration(), identity: head.log)
    }

    func take(_ part: BackupPart) throws {
        switch part {
        case .topic(let topic): try self.log.add(topic)
        case .entries(let entries): try self.log.add(entries)
        case .records(let topic, let partition, let records):
            for record in records { try self.log.add(topic: topic, partition: partition, record.offset, record.block) }
        case .bundle(let hash, let isLast, let bytes):
            if self.archive.isEmpty { self.hash = hash }
            guard hash == self.hash, self.archive.count + bytes.count <= Limits.Backup.bundleBytes else {
                throw ApusError(.backupInvalid, "a bundle of the backup is not whole: use another backup")
            }
            self.archive += bytes
            guard isLast else { return }
            try self.bundles.restore(self.archive, as: hash)
            self.archive = []
        case .head, .end, .failure: break
        }
    }

    func finish() throws { try self.log.finish() }
}

/// The data directory that is filled, held so that no server starts in it meanwhile.
private final class RestoreTarget {
    private static let prefix = ".restore-"
    let staging: String
    private let folder: String
    private let isMade: Bool
    private let descriptor: CInt

    init(_ folder: String) throws(ApusError) {
        self.folder = folder
        self.isMade = mkdir(folder, 0o700) == 0
        guard self.isMade || errno == EEXIST else { throw BackupTarget.failure("make", folder) }
        self.descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard self.descriptor >= 0 else { throw BackupTarget.failure("open", folder) }
        self.staging = "\(folder)/\(Self.prefix)\(getpid())"
        do throws(ApusError) {
            guard flock(self.descriptor, LOCK_EX | LOCK_NB) == 0 else {
                throw ApusError(
                    .dataDirectoryInUse, "a server uses the data directory \(folder): stop it, or restore into another")
            }
            for name in try FolderContents.names(folder) {
                // What an earlier restore was killed over.
                guard name.hasPrefix(Self.prefix) else {
                    throw ApusError(
                        .dataDirectoryInvalid,
                        "\(folder) is not empty ('\(name)' is in it): restore into an empty folder, or move this one away"
                    )
                }
                try FolderContents.remove("\(folder)/\(name)")
            }
            guard mkdir(self.staging, 0o700) == 0 else { throw BackupTarget.failure("make", self.staging) }
        } catch {
            close(self.descriptor)
            if self.isMade { rmdir(folder) }
            throw error
        }
    }

    /// Moves everything to its place, the log last.
    func publish() throws(ApusError) {
        for name in ["bundles", EmbeddedLog.fileName] {
            guard rename("\(self.staging)/\(name)", "\(self.folder)/\(name)") == 0 else {
                throw BackupTarget.failure("move into place", "\(self.folder)/\(name)")
            }
        }
        try FolderContents.remove(self.staging)
        guard fsync(self.descriptor) == 0 else { throw BackupTarget.failure("sync", self.folder) }
        close(self.descriptor)
    }

    /// Leaves the folder as it was found.
    func abandon() {
        for name in [EmbeddedLog.fileName, "bundles"] {
            do throws(ApusError) { try FolderContents.remove("\(self.folder)/\(name)") } catch {}
        }
        do throws(ApusError) { try FolderContents.remove(self.staging) } catch {}
        close(self.descriptor)
        if self.isMade { rmdir(self.folder) }
    }
}
