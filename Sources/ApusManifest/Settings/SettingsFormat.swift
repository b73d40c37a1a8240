internal import ApusCore
public import ApusJSON

/// A configuration file's format, made from a table of settings: reading it, reading single values from elsewhere, its schema.
public struct SettingsFormat: Sendable {
    /// A setting that a file holds.
    public struct Entry: Sendable {
        public let path: String
        public let value: SettingValue
        public let location: SourceLocation?
    }

    private let settings: [Setting]
    private let shape: ObjectShape

    /// - Parameter settings: each path once; none is the beginning of another.
    public init(_ settings: [Setting]) {
        self.settings = settings
        self.shape = Self.shape(settings[...], depth: 0)
    }

    /// - Parameter depth: how many names of the paths lead to this object.
    private static func shape(_ settings: ArraySlice<Setting>, depth: Int) -> ObjectShape {
        var fields: [Field] = []
        var rest = settings
        while let first = rest.first {
            let names = first.path.split(separator: ".").map(String.init)
            guard names.count > depth + 1 else {
                fields.append(Field(names[depth], first.kind.shape, first.about))
                rest = rest.dropFirst()
                continue
            }
            let prefix = names[...depth].joined(separator: ".") + "."
            let group = rest.prefix { $0.path.hasPrefix(prefix) }
            let inner = Self.shape(group, depth: depth + 1)
            fields.append(Field(names[depth], .object(inner), "Settings of \(names[...depth].joined(separator: "."))."))
            rest = rest.dropFirst(group.count)
        }
        return ObjectShape(fields)
    }

    /// The JSON Schema of the file.
    public var schema: JSONValue { ManifestSchema.configuration(self.shape) }

    /// Reads a file; one without a document sets nothing.
    /// - Throws: everything that is wrong with it, each with its place.
    public func read(_ text: [UInt8], file: String) throws(ManifestErrors) -> [Entry] {
        let source = SourceText(file: file, bytes: text)
        let (documents, problems) = YAMLReader.read(source)
        var errors = problems
        if documents.count > 1 {
            errors.append(
                ManifestError(.manifestInvalid, documents[1].location, "a second document, expected one in this file"))
        }
        var checker = ShapeChecker()
        let checked = documents.first.flatMap { checker.check($0, .object(self.shape), "") }
        errors += checker.errors
        guard errors.isEmpty else { throw ManifestErrors(errors) }
        guard let checked else { return [] }
        return self.settings.compactMap { setting in
            var value: Checked? = checked
            for name in setting.path.split(separator: ".") { value = value?[String(name)] }
            return value.map { Entry(path: setting.path, value: SettingValue($0.value), location: $0.location) }
        }
    }

    /// Reads one value as an environment variable or an option gives it: lists with commas, pairs as `name=text` or as the file has
    /// them, a length of time without unit in seconds, lists of things as the file has them.
    /// - Throws: what is wrong, without saying where it came from.
    public static func read(_ text: String, as setting: Setting) throws(ManifestErrors) -> SettingValue {
        var checker = ShapeChecker()
        guard let checked = checker.check(Self.node(text, setting.kind), setting.kind.shape, setting.path) else {
            throw ManifestErrors(checker.errors)
        }
        return SettingValue(checked.value)
    }

    private static func node(_ text: String, _ kind: SettingKind) -> YAMLNode {
        func string(_ text: some StringProtocol) -> YAMLNode {
            YAMLNode(.string(String(text)), text: String(text), location: nil)
        }
        switch kind {
        case .text, .choice: return string(text)
        case .span
        where !text.isEmpty && text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }):
            return string(text + "s")
        case .records:
            if text.isEmpty { return YAMLNode(.sequence([]), location: nil) }
            return Self.yaml(text) ?? string(text)
        case .pairs where text.hasPrefix("{"): return Self.yaml(text) ?? string(text)
        case .texts: return YAMLNode(.sequence(text.split(separator: ",").map { string($0) }), location: nil)
        case .pairs:
            var entries: [YAMLNode.Entry] = []
            for part in text.split(separator: ",") {
                let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                // Not a name alone: nobody would notice that it says nothing.
                guard halves.count == 2 else { return string(text) }
                entries.append(YAMLNode.Entry(key: String(halves[0]), keyLocation: nil, value: string(halves[1])))
            }
            return YAMLNode(.mapping(entries), location: nil)
        default: return YAMLNode(YAMLScalar.resolve(text), text: text, location: nil)
        }
    }

    /// As the file would have it, on one line.
    /// - Returns: nil for what is no YAML.
    private static func yaml(_ text: String) -> YAMLNode? {
        let (documents, problems) = YAMLReader.read(SourceText(file: "", bytes: Array(text.utf8)))
        return problems.isEmpty ? documents.first : nil
    }
}
