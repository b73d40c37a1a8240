internal import Glibc

/// What lies in folders, for tests and benchmarks.
public enum Folder {
    /// In the order of their names, without `.` and `..`; none where the folder cannot be read.
    public static func names(_ path: String) -> [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// The processes of this machine, as far as /proc shows them. Each may end at any time.
    public static var processes: [Int32] { Self.names("/proc").compactMap { Int32($0) } }
}
