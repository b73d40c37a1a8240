import ApusCore
import ApusSandbox
import ApusTestSupport
import Glibc

/// Packages whose build attacks, and what the nursery does with the layers they are built into.
extension Laboratory {
    /// The words of pip before what it installs, as the server gives them, for a package that lies in the bundle.
    static func pipArguments(_ step: [String]) -> [String] {
        step.prefix(1) + [
            "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-index", "--no-build-isolation",
            "--no-deps",
        ] + step.dropFirst()
    }

    /// A package that builds itself: what it does instead is said in the environment.
    static func makeHostilePackage() {
        let folder = "\(self.dataDirectory)/bundles/\(self.bundle)/hostile"
        TestFiles.makeFolder(folder)
        TestFiles.write(
            """
            [build-system]
            requires = []
            build-backend = "backend"
            backend-path = ["."]
            [project]
            name = "hostile"
            version = "1.0"

            """, to: "\(folder)/pyproject.toml")
        TestFiles.write(self.backend, to: "\(folder)/backend.py")
    }

    /// The attempts of the probe, or the code that the environment holds, in place of a build.
    private static let backend = """
        import os, subprocess
        def build_wheel(folder, config_settings=None, metadata_directory=None):
            if os.environ["ATTACK"] == "batch":
                with open("/out/attacks", "wb") as out:
                    subprocess.call(["/function/probe", "batch", os.environ["ATTACK_LIST"], "/tmp"], stdout=out)
                raise RuntimeError("nothing was built")
            # pip asks twice: for what the package is, and for the package.
            if not os.path.exists("/tmp/attacked"):
                open("/tmp/attacked", "w").close()
                exec(os.environ["ATTACK"], {})
            return wheel(folder)
        def wheel(folder):
            import zipfile
            name = "hostile-1.0-py3-none-any.whl"
            with zipfile.ZipFile(os.path.join(folder, name), "w") as file:
                file.writestr("hostile.py", "")
                about = "hostile-1.0.dist-info/"
                file.writestr(about + "METADATA", "Metadata-Version: 2.1\\nName: hostile\\nVersion: 1.0\\n")
                file.writestr(about + "WHEEL", "Wheel-Version: 1.0\\nGenerator: x\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                file.writestr(about + "RECORD", "".join(entry + ",,\\n" for entry in file.namelist()))
            return name
        """

    /// The probe as a library, for code that may start no program.
    static func makeProbeLibrary() {
        let sources = "\(self.packageFolder)/sandbox/probes/probe"
        let files = Folder.names(sources).filter { $0.hasSuffix(".c") }.map { "\(sources)/\($0)" }
        let target = "\(self.dataDirectory)/bundles/\(self.bundle)/probe.so"
        let words = ["cc", "-shared", "-fPIC", "-O1", "-DPROBE_LIBRARY", "-Wl,-Bsymbolic", "-o", target] + files
        var strings: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        var process: pid_t = 0
        var status: CInt = -1
        let result = posix_spawnp(&process, "cc", nil, nil, &strings, environ)
        precondition(result == 0 && waitpid(process, &status, 0) == process, "no C compiler: \(result)")
        precondition(status == 0, "the probe does not compile as a library")
        chmod(target, 0o755)
    }

    func prepare(_ layer: String) async throws {
        let result: Result<Void, ApusError> = await self.withClient { client, done in
            client.prepareLayer(layer) { done($0) }
        }
        try result.get()
    }

    func seal(_ layer: String, bytes: UInt64 = 1 << 20, entries: UInt64 = 100) async -> Result<Void, ApusError> {
        await self.withClient { client, done in
            client.sealLayer(layer, bytes: bytes, entries: entries) { done($0) }
        }
    }

    func discard(_ layer: String) async throws {
        let result: Result<Void, ApusError> = await self.withClient { client, done in
            client.discardLayer(layer) { done($0) }
        }
        try result.get()
    }
}
