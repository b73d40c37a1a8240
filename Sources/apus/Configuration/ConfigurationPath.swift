internal import ApusManifest
internal import Glibc

/// Paths of files and folders. A server has no folder of its own that a relative path could mean, so that those of options and
/// variables are made absolute where they are read, and those of the file must be.
enum ConfigurationPath {
    static func absolute(_ value: SettingValue) throws(SettingRefusal) -> String {
        guard value.text.hasPrefix("/"), value.text.utf8.count < Int(PATH_MAX) else {
            throw SettingRefusal("an absolute path")
        }
        return value.text
    }

    /// Of a path as typed in a shell.
    static func fromHere(_ path: String) -> String {
        guard !path.hasPrefix("/"), !path.isEmpty else { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { return path }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
    }
}
