import ApusCore
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct InstallTests {
    /// What `Tests/Peers/installed-root` reports; nil, with the reason printed, where it cannot run.
    private func report(_ mode: String) throws -> [String]? {
        let folder = "/var/tmp/apus-root-\(getpid())-\(mode)"
        let root = InstalledTree.packageRoot
        let run = try ChildProcess(
            "\(root)/Tests/Peers/installed-root", [mode, folder, root, "\(root)/.build/debug"], in: "/var/tmp")
        let status = run.wait(seconds: 300)
        if status == 77 {
            print("skipped: the installed service (\(mode)) is not tried out: \(run.output)")
            return nil
        }
        #expect(status == 0, "\(run.output)\(run.errors)")
        return run.output.split(separator: "\n").map(String.init)
    }

    @Test func theUnitInstalledIntoARealRootStartsServesReloadsAndStopsByItsCommandLines() throws {
        guard let report = try self.report("unit") else { return }
        #expect(report == ["verified", "started", "invoked", "reloaded", "stopped"])
    }

    /// A systemd of its own applies the unit's sandboxing, limits and control groups.
    @Test func systemdStartsReloadsRestartsAndStopsTheInstalledService() throws {
        guard let report = try self.report("systemd") else { return }
        #expect(report == ["verified", "started", "reloaded", "kept", "restarted", "stopped", "done"])
    }

    @Test func theTreeCanBeStagedAndNamesItsFinalPlace() throws {
        let folder = "/var/tmp/apus-stage-\(getpid())"
        mkdir(folder, 0o755)
        defer { _ = try? ChildProcess("/bin/rm", ["-rf", folder], in: "/var/tmp").wait(seconds: 30) }
        var environment = currentEnvironment()
        environment["DESTDIR"] = folder
        let root = InstalledTree.packageRoot
        let install = try ChildProcess(
            "\(root)/scripts/install", ["/opt/apus", "\(root)/.build/debug"], environment: environment, in: "/var/tmp")
        #expect(install.wait(seconds: 60) == 0, "\(install.errors)")
        let unit = String(decoding: try readFile("\(folder)/opt/apus/lib/systemd/system/apus.service"), as: UTF8.self)
        #expect(unit.contains("ExecStart=/opt/apus/bin/apus serve\n"))
        #expect(!unit.contains("@PREFIX@") && !unit.contains(folder))
        let user = String(decoding: try readFile("\(folder)/opt/apus/lib/systemd/user/apus.service"), as: UTF8.self)
        #expect(user.contains("ExecStart=/opt/apus/bin/apus serve --rootless\n") && user.contains("Delegate=yes\n"))
        #expect(!user.contains("@PREFIX@") && !user.contains("\nNoNewPrivileges"))
        for file in [
            "bin/apus", "libexec/apus/nursery", "share/apus/apus.yaml", "lib/sysusers.d/apus.conf",
            "share/doc/apus/rootless.md",
        ] {
            #expect(access("\(folder)/opt/apus/\(file)", F_OK) == 0, "\(file)")
        }
    }
}
