public import ApusCore
internal import Glibc

/// Where the parts of an installation are: all of them relative to the running executable, never a build folder's absolute path.
public struct InstalledFiles: Sendable {
    public var nursery: String
    /// The folder with `python/apus`.
    public var runtimes: String
    public var profiles: String
    /// The native worker that gives back what it gets: what benchmarks measure with. Beside the nursery.
    public var echoWorker: String { Self.parent(self.nursery) + "/echo-native" }

    /// Finds them beside the running executable: `bin/apus` next to `libexec/apus`, or a build folder inside a checkout.
    /// - Throws: `runtime_missing`.
    public static func locate() throws(ApusError) -> InstalledFiles {
        let executable = try Self.executable()
        let folder = Self.parent(executable)
        let installed = "\(Self.parent(folder))/libexec/apus"
        if Self.exists("\(installed)/nursery") {
            return InstalledFiles(
                nursery: "\(installed)/nursery", runtimes: "\(installed)/runtimes", profiles: "\(installed)/profiles")
        }
        var root = folder
        while root != "/" && !root.isEmpty {
            if Self.exists("\(root)/sandbox/profiles"), Self.exists("\(folder)/nursery") {
                return InstalledFiles(
                    nursery: "\(folder)/nursery", runtimes: "\(root)/sandbox/runtimes",
                    profiles: "\(root)/sandbox/profiles")
            }
            root = Self.parent(root)
        }
        throw ApusError(
            .runtimeMissing,
            "\(executable) has no libexec/apus beside its folder and is in no checkout: install it with `make install PREFIX=…`"
        )
    }

    /// The folder of the package that functions in Swift are built with: `share/apus/sdk` of an installation, or the checkout.
    /// - Throws: `runtime_missing`.
    public static func sdk() throws(ApusError) -> String {
        let folder = Self.parent(try Self.executable())
        let installed = "\(Self.parent(folder))/share/apus/sdk"
        if Self.exists("\(installed)/Package.swift") { return installed }
        var root = folder
        while root != "/" && !root.isEmpty {
            if Self.exists("\(root)/sandbox/profiles"), Self.exists("\(root)/Package.swift") { return root }
            root = Self.parent(root)
        }
        throw ApusError(
            .runtimeMissing, "there is no share/apus/sdk beside \(folder): install apus with `make install PREFIX=…`")
    }

    private static func executable() throws(ApusError) -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw ApusError(.internal, "cannot read /proc/self/exe: is /proc mounted?") }
        return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func parent(_ path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    private static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }
}
