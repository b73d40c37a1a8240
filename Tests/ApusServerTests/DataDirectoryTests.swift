import ApusCore
import Glibc
import Testing

@testable import ApusServer

@Suite("Data directory", .enabled(if: geteuid() == 0, "folders are given away by root: run the tests with sudo"))
struct DataDirectoryTests {
    private static let server: uid_t = 2_000_000_000

    /// Runs with a fresh folder and removes it.
    private func withFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/apus-data-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw ApusError(.internal, "no folder in /tmp: \(errno)") }
        let folder = String(cString: made)
        defer {
            let made = ["data/bundles", "data/layers", "data/run", "data", "victim/file", "victim"]
            for name in DataDirectory.files.map({ "data/\($0)" }) + made {
                if unlink("\(folder)/\(name)") != 0 { rmdir("\(folder)/\(name)") }
            }
            rmdir(folder)
        }
        try body(folder)
    }

    private func write(_ path: String, owner: uid_t = 0) {
        close(open(path, O_CREAT | O_WRONLY, 0o600))
        chown(path, owner, owner)
    }

    private func status(_ path: String) -> stat? {
        var status = stat()
        return lstat(path, &status) == 0 ? status : nil
    }

    @Test("Without root it is made with the folders above it, and is nobody else's")
    func isOwn() throws {
        try self.withFolder { folder in
            let path = "\(folder)/data"
            try DataDirectory.prepareFolder(path, isDeep: true)
            for _ in 0..<2 { try DataDirectory.prepareOwn(path) }
            for name in ["", "/bundles", "/layers", "/run"] {
                #expect(self.status(path + name).map { $0.st_mode & 0o7777 } == 0o700, "\(name)")
            }
            chown("\(path)/run", Self.server, Self.server)
            #expect(throws: ApusError.self) { try DataDirectory.prepareOwn(path) }
        }
    }

    @Test("It is made with its folders and given to the server, twice the same")
    func isMade() throws {
        try self.withFolder { folder in
            let data = "\(folder)/data"
            for _ in 0..<2 {
                try DataDirectory.prepareFolder(data)
                try DataDirectory.prepare(data, user: Self.server, group: Self.server)
                for path in [data] + DataDirectory.folders.map({ "\(data)/\($0)" }) {
                    let status = self.status(path)
                    #expect(status?.st_uid == Self.server && status.map { $0.st_mode & 0o7777 } == 0o700, "\(path)")
                }
            }
        }
    }

    @Test("The files of the server before go to the one that runs now")
    func filesGoOn() throws {
        try self.withFolder { folder in
            let data = "\(folder)/data"
            try DataDirectory.prepareFolder(data)
            try DataDirectory.prepare(data, user: Self.server, group: Self.server)
            for file in DataDirectory.files { self.write("\(data)/\(file)", owner: Self.server) }
            try DataDirectory.prepare(data, user: Self.server + 2_048, group: Self.server + 2_048)
            for file in DataDirectory.files {
                #expect(self.status("\(data)/\(file)")?.st_uid == Self.server + 2_048, "\(file)")
            }
        }
    }

    @Test("A link in place of a folder is refused, and what it names stays root's")
    func refusesLinks() throws {
        try self.withFolder { folder in
            let data = "\(folder)/data"
            let victim = "\(folder)/victim"
            mkdir(victim, 0o755)
            try DataDirectory.prepareFolder(data)
            chown(data, Self.server, Self.server)
            symlink(victim, "\(data)/run")
            let error = #expect(throws: ApusError.self) {
                try DataDirectory.prepare(data, user: Self.server, group: Self.server)
            }
            #expect(error?.code == .dataDirectoryInvalid)
            let status = self.status(victim)
            #expect(status?.st_uid == 0 && status.map { $0.st_mode & 0o7777 } == 0o755)
        }
    }

    @Test("A second name of somebody else's file is refused, and the file stays root's")
    func refusesSecondNames() throws {
        try self.withFolder { folder in
            let data = "\(folder)/data"
            let victim = "\(folder)/victim"
            mkdir(victim, 0o755)
            self.write("\(victim)/file")
            try DataDirectory.prepareFolder(data)
            try DataDirectory.prepare(data, user: Self.server, group: Self.server)
            link("\(victim)/file", "\(data)/log.mdb")
            let error = #expect(throws: ApusError.self) {
                try DataDirectory.prepare(data, user: Self.server + 2_048, group: Self.server + 2_048)
            }
            #expect(error?.code == .dataDirectoryInvalid)
            #expect(self.status("\(victim)/file")?.st_uid == 0)
        }
    }
}
