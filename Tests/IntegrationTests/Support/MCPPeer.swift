import ApusTestSupport
import Glibc

/// The official Python SDK of the protocol, and what our own clients in Python need.
enum MCPPeer {
    static let packages = "\(InstalledTree.packageRoot)/.build/peers/mcp"

    /// Installs the SDK once; kept with what was built.
    /// - Returns: why it cannot be had; nil when it is there.
    static func missing() throws -> String? {
        if access("\(self.packages)/mcp", R_OK) == 0, access("\(self.packages)/jsonschema", R_OK) == 0 { return nil }
        let pip = try ChildProcess(
            "/usr/bin/python3",
            [
                "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--target",
                self.packages, "mcp==2.3.0", "jsonschema==4.26.0",
            ], in: "/var/tmp")
        if pip.wait(seconds: 180) == 0 { return nil }
        return "the package index gave no mcp==2.3.0: \(pip.errors.suffix(200))"
    }
}
