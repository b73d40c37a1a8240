import ApusCore
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct InstallTests {
    private static let lacksSystemd: Bool = {
        let isMissing = access("/usr/bin/systemd-analyze", X_OK) != 0 || access("/usr/bin/systemd-sysusers", X_OK) != 0
        if isMissing { print("skipped: the installed unit is not checked, since Debian's package systemd is not installed") }
        return isMissing
    }()

    /// A root of its own with /usr of this machine below a layer in memory; PID 1 is not systemd's there, so that its sandboxing of
    /// the unit is read by `systemd-analyze verify` and not applied.
    @Test(.disabled(if: Self.lacksSystemd, "Debian's package systemd is not installed"))
    func theUnitInstalledIntoARealRootStartsServesReloadsAndStops() throws {
        let folder = "/var/tmp/apus-root-\(getpid())"
        mkdir(folder, 0o755)
        defer { rmdir(folder) }
        let root = InstalledTree.packageRoot
        let script = "\(root)/Tests/IntegrationTests/Support/installed-root"
        let run = try ChildProcess(
            "unshare", ["-m", "--", "bash", script, folder, root, "\(root)/.build/debug"], in: "/var/tmp")
        #expect(run.wait(seconds: 180) == 0, "\(run.errors)")
        #expect(run.output.split(separator: "\n") == ["verified", "started", "invoked", "reloaded", "stopped"], "\(run.errors)")
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
        for file in ["bin/apus", "libexec/apus/nursery", "share/apus/apus.yaml", "lib/sysusers.d/apus.conf"] {
            #expect(access("\(folder)/opt/apus/\(file)", F_OK) == 0, "\(file)")
        }
    }
}
