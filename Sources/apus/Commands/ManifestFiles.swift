internal import ApusCore
internal import ApusManifest
internal import ApusStore
internal import Glibc

/// Finds and reads the manifests that a deploy names.
struct ManifestFiles {
    struct Found {
        var manifest: Manifest
        /// The folder of the manifest's file, which `source` is relative to.
        var folder: String

        /// The folder that is bundled.
        func source(of function: FunctionManifest) -> String {
            function.source == "." ? self.folder : "\(self.folder)/\(function.source)"
        }
    }

    /// For documents that name no namespace.
    let namespace: Namespace

    /// - Parameter paths: files, or folders with a `manifest.yaml` or other YAML files.
    /// - Throws: `manifest_invalid` and its kind with all that is wrong in all files, a line each; `invalid_argument` for what
    ///   cannot be read.
    func read(_ paths: [String]) throws(ApusError) -> [Found] {
        var found: [Found] = []
        var problems: [String] = []
        var codes: Set<ErrorCode> = []
        for file in try self.files(paths) {
            let text = try DataArgument.readFile(file, limit: Limits.Commands.manifestBytes)
            let slash = file.lastIndex(of: "/")
            let folder = slash.map { $0 == file.startIndex ? "/" : String(file[..<$0]) } ?? "."
            do throws(ManifestErrors) {
                found += try Manifest.parse(text, file: file, namespace: self.namespace).map {
                    Found(manifest: $0, folder: folder)
                }
            } catch {
                problems.append(error.description)
                codes.insert(error.asApusError.code)
            }
        }
        for index in found.indices {
            let folder = found[index].folder
            do throws(ApusError) {
                found[index].manifest = try found[index].manifest.withSchemas { (file) throws(ApusError) in
                    let path = "\(folder)/\(file)"
                    return (path, try DataArgument.readFile(path, limit: Limits.Commands.manifestBytes))
                }
            } catch {
                problems.append(error.message)
                codes.insert(error.code)
            }
        }
        if problems.isEmpty {
            do throws(ManifestErrors) { try Manifest.checkDistinct(found.map(\.manifest)) } catch {
                throw error.asApusError
            }
            return found
        }
        let code =
            [ErrorCode.manifestInvalid, .reservedName].first(where: codes.contains) ?? codes.first ?? .manifestInvalid
        throw ApusError(code, problems.joined(separator: "\n"))
    }

    func files(_ paths: [String]) throws(ApusError) -> [String] {
        var files: [String] = []
        for path in paths {
            var status = stat()
            guard stat(path, &status) == 0 else {
                throw ApusError(.invalidArgument, "'\(path)' cannot be read: \(String(cString: strerror(errno)))")
            }
            files += status.st_mode & S_IFMT == S_IFDIR ? try self.files(in: path) : [path]
        }
        guard files.count <= Limits.Commands.manifestFiles else {
            throw ApusError(
                .invalidArgument,
                "these are \(files.count) manifest files; at most \(Limits.Commands.manifestFiles) fit one deploy")
        }
        return files
    }

    private func files(in folder: String) throws(ApusError) -> [String] {
        let base = folder.hasSuffix("/") ? String(folder.dropLast()) : folder
        for name in ["manifest.yaml", "manifest.yml"] where access("\(base)/\(name)", F_OK) == 0 {
            return ["\(base)/\(name)"]
        }
        guard let directory = opendir(folder) else {
            throw ApusError(.invalidArgument, "'\(folder)' cannot be read: \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name.hasSuffix(".yaml") || name.hasSuffix(".yml"), !name.hasPrefix(".") {
                names.append("\(base)/\(name)")
            }
        }
        guard !names.isEmpty else {
            throw ApusError(
                .invalidArgument,
                "the folder '\(folder)' holds no manifest: expected manifest.yaml or another .yaml file")
        }
        return names.sorted()
    }
}
