internal import ApusManifest

/// One field of `apus.yaml`: what it is, how else it can be given, and what it does.
struct ConfigurationField: Sendable {
    let setting: Setting
    /// The option of `apus serve` that overrides it.
    let option: OptionDescription?
    let apply: @Sendable (inout ServeOptions, SettingValue) throws(SettingRefusal) -> Void

    /// - Parameters:
    ///   - path: in the file; the variable's name is made of it.
    ///   - about: sentences, for the file's comments and the documentation.
    ///   - standard: what holds when nothing is said; nil when then nothing is set.
    ///   - option: what `apus serve` calls it; nil for what only the file and the environment say.
    init(
        _ path: String, _ kind: SettingKind, _ about: String, default standard: String?,
        option: OptionDescription? = nil,
        _ apply: @escaping @Sendable (inout ServeOptions, SettingValue) throws(SettingRefusal) -> Void
    ) {
        self.setting = Setting(path, kind, about, default: standard)
        self.option = option
        self.apply = apply
    }

    var path: String { self.setting.path }

    /// Whether its text names a file or a folder.
    var isPath: Bool { ["data", "tls.cert", "tls.key", "log.file", "keyFile"].contains(self.path) }

    /// `APUS_MAP_SIZE` of `mapSize`, `APUS_LOG_FORMAT` of `log.format`.
    var variable: String {
        var name = "APUS_"
        for character in self.path {
            if character == "." {
                name.append("_")
            } else {
                if character.isUppercase { name.append("_") }
                name.append(contentsOf: character.uppercased())
            }
        }
        return name
    }
}

/// A value that its kind allows and its use does not.
struct SettingRefusal: Error {
    /// What was expected.
    var expected: String

    init(_ expected: String) { self.expected = expected }
}
