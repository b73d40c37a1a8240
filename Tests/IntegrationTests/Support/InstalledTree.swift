import ApusCore
import ApusTestSupport
import Glibc

/// The built binaries laid out as an installation, once per run, where the server's own user can read them.
enum InstalledTree {
    static let packageRoot: String = {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(4)
        return "/" + parts.joined(separator: "/")
    }()

    /// Why these tests cannot run here, or nil.
    static let reasonToSkip: String? = geteuid() == 0 ? nil : "integration tests start a server, which needs root"

    static let path: Result<String, ApusError> = {
        do {
            let path = "/var/tmp/apus-test-\(getpid())"
            let build = "\(Self.packageRoot)/.build/debug"
            let install = try ChildProcess("\(Self.packageRoot)/scripts/install", [path, build], in: "/var/tmp")
            guard install.wait(seconds: 60) == 0 else {
                return .failure(ApusError(.internal, "scripts/install failed: \(install.errors)"))
            }
            chmod(path, 0o755)
            atexit(removeTree)
            return .success(path)
        } catch let error as ApusError {
            return .failure(error)
        } catch {
            return .failure(ApusError(.internal, "\(error)"))
        }
    }()
}

private func removeTree() {
    _ = try? ChildProcess("/bin/rm", ["-rf", "/var/tmp/apus-test-\(getpid())"], in: "/var/tmp").wait(seconds: 30)
}
