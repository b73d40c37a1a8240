internal import ApusLog
internal import ApusManifest

/// `apus.yaml` as text: every field with what it is, its default, how else it can be given, and where its value came from.
enum ConfigurationText {
    private static let width = 120

    /// - Parameter showsOrigins: whether each value says where it came from; without it the text is the example.
    static func of(_ configuration: Configuration, showsOrigins: Bool) -> String {
        var text = self.head(configuration.file, showsOrigins)
        var open: [String] = []
        for resolved in configuration.fields {
            let names = resolved.field.path.split(separator: ".").map(String.init)
            let groups = Array(names.dropLast())
            var shared = 0
            while shared < min(open.count, groups.count), open[shared] == groups[shared] { shared += 1 }
            for depth in shared..<groups.count {
                let path = groups[...depth].joined(separator: ".")
                if depth == 0 { text += "\n" }
                if let about = ConfigurationTable.groups[path] { text += self.comment(about, depth) }
                text += "\(self.indent(depth))\(groups[depth]):\n"
            }
            open = groups
            text += self.entry(resolved, name: names[groups.count], depth: groups.count, showsOrigins)
        }
        return text
    }

    private static func head(_ file: String?, _ showsOrigins: Bool) -> String {
        let overriding = "Overridden by APUS_… and then by options of `apus serve`."
        guard showsOrigins else {
            return self.comment(
                "The configuration of `apus serve`, with every field and its default. \(overriding) "
                    + "Looked for at --config, APUS_CONFIG, then /etc/apus/apus.yaml. Unknown fields are errors.", 0)
        }
        let source = file.map { "The file is \($0)." } ?? "There is no file: /etc/apus/apus.yaml does not exist."
        return self.comment("What `apus serve` would use, and where each value came from. \(source) \(overriding)", 0)
    }

    private static func entry(
        _ resolved: Configuration.Resolved, name: String, depth: Int, _ showsOrigins: Bool
    ) -> String {
        let field = resolved.field
        let standard = field.setting.standard.map { "Default: \($0)." } ?? "Not set by default."
        let ways = [field.option?.name, field.variable].compactMap { $0 }.joined(separator: ", ")
        var text = depth == 0 ? "\n" : ""
        text += self.comment("\(field.setting.about) \(standard) (\(ways))", depth)
        let origin = showsOrigins ? "  # \(resolved.origin.text)" : ""
        // What is printed is seen by others, or kept in a file that others may read.
        let masked = resolved.value?.masking(KafkaLogConfiguration.isSecret, as: "(secret)")
        guard let value = masked else { return text + "\(self.indent(depth))# \(name):\(origin)\n" }
        return text + "\(self.indent(depth))\(name): \(value.written(as: field.setting.kind))\(origin)\n"
    }

    private static func indent(_ depth: Int) -> String { String(repeating: "  ", count: depth) }

    /// Lines of words, each line a comment.
    private static func comment(_ about: String, _ depth: Int) -> String {
        let start = "\(self.indent(depth))#"
        var text = ""
        var line = start
        for word in about.split(separator: " ") {
            if line.count + 1 + word.count > self.width {
                text += line + "\n"
                line = start
            }
            line += " " + word
        }
        return text + line + "\n"
    }
}
