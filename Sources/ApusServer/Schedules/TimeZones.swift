internal import ApusCore
internal import ApusManifest
internal import Glibc
internal import Synchronization

/// The time zones of this machine, read from Debian's `tzdata` and kept for the life of the process. Calls read files:
/// never from a
/// loop.
final class TimeZones: Sendable {
    private let folder: String
    private let known = Mutex<[String: TimeZoneRules]>(["UTC": .utc, "Etc/UTC": .utc])

    init(folder: String = "/usr/share/zoneinfo") { self.folder = folder }

    /// - Throws: `manifest_invalid` for a name that is none, with what may have been meant.
    func zone(_ name: String) throws(ApusError) -> TimeZoneRules {
        if let known = self.known.withLock({ $0[name] }) { return known }
        guard Self.isWellFormed(name), let bytes = self.read(name) else { throw self.unknown(name) }
        let rules: TimeZoneRules
        do throws(TimeZoneFile.Failure) { rules = try TimeZoneFile.parse(bytes) } catch {
            throw ApusError(
                .manifestInvalid, "the time zone '\(name)' cannot be used: \(self.folder)/\(name): \(error)",
                cause: error)
        }
        self.known.withLock { known in
            if known.count < Limits.Schedules.zones { known[name] = rules }
        }
        return rules
    }

    /// No dots: nothing leaves the folder.
    static func isWellFormed(_ name: String) -> Bool {
        guard (1...64).contains(name.utf8.count) else { return false }
        let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return parts.allSatisfy { part in
            !part.isEmpty
                && part.allSatisfy { byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "_+-".utf8.contains(byte)
                }
        }
    }

    private func unknown(_ name: String) -> ApusError {
        let names = self.names()
        guard !names.isEmpty else {
            return ApusError(
                .manifestInvalid,
                "there is no time zone '\(name.prefix(64))' on the server, nor any other: install the package tzdata there, or use UTC"
            )
        }
        let lower = name.lowercased()
        let city = names.first { $0.lowercased().hasSuffix("/\(lower)") }
        let hint = (Suggestion.nearest(to: name, among: names) ?? city).map { ", did you mean `\($0)`?" }
        return ApusError(
            .manifestInvalid,
            "there is no time zone '\(name.prefix(64))'\(hint ?? ": expected one such as Europe/Paris or UTC")")
    }

    private func read(_ name: String) -> [UInt8]? {
        let descriptor = open("\(self.folder)/\(name)", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            (1...Limits.Schedules.zoneFileBytes).contains(Int(status.st_size))
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { Glibc.read(descriptor, $0 + count, buffer.count - count) } ?? 0
            }
            if more <= 0 { return nil }
            count += more
        }
        return bytes
    }

    /// For hints, and for tests that go through all of them.
    func names() -> [String] {
        var names: [String] = []
        self.collect("", depth: 0, into: &names)
        return names.sorted()
    }

    private func collect(_ prefix: String, depth: Int, into names: inout [String]) {
        guard depth < 3, let directory = opendir("\(self.folder)/\(prefix)") else { return }
        defer { closedir(directory) }
        while names.count < Limits.Schedules.zones, let entry = readdir(directory) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            // `posix` repeats all, `right` counts leap seconds; what has a dot or is lower case is no zone.
            guard Self.isWellFormed(name), name.utf8.first.map({ $0 < UInt8(ascii: "a") }) ?? false else { continue }
            let path = prefix.isEmpty ? name : "\(prefix)/\(name)"
            var status = stat()
            guard stat("\(self.folder)/\(path)", &status) == 0 else { continue }
            if status.st_mode & S_IFMT == S_IFDIR {
                self.collect(path, depth: depth + 1, into: &names)
            } else {
                names.append(path)
            }
        }
    }
}
