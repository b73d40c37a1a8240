internal import ApusCore
internal import ApusManifest
internal import Glibc

/// What every field of `apus.yaml` is for one server, and who said so.
///
/// A default is overridden by the file, that by `APUS_…`, and that by an option of `apus serve`.
struct Configuration {
    static let standardFile = "/etc/apus/apus.yaml"

    enum Origin: Equatable {
        case standard
        case file(SourceLocation)
        case variable(String)
        case option(String)

        var text: String {
            switch self {
            case .standard: "default"
            case .file(let place): "\(place)"
            case .variable(let name): name
            case .option(let name): name
            }
        }
    }

    struct Resolved {
        let field: ConfigurationField
        /// Nil when nothing is set.
        let value: SettingValue?
        let origin: Origin
    }

    /// Read by commands, or given by what starts them: no fields of the file.
    static let otherVariables = [
        "APUS_CONFIG", "APUS_SERVER", "APUS_TOKEN", "APUS_CA", "APUS_NAMESPACE", "APUS_POSITION",
    ]

    let fields: [Resolved]
    /// The file that was read; nil when there is none.
    let file: String?

    /// - Throws: `configuration_invalid` with all that is wrong, a line each.
    init(_ arguments: ParsedArguments, _ environment: [String: String]) throws(ApusError) {
        let named = arguments["--config"] ?? environment["APUS_CONFIG"]
        let file = named ?? (access(Self.standardFile, F_OK) == 0 ? Self.standardFile : nil)
        var problems: [String] = []
        let entries = try Self.read(file, isNamed: named != nil, &problems)
        self.file = file
        self.fields = ConfigurationTable.fields.map { field in
            Self.resolve(field, entries[field.path], arguments, environment, &problems)
        }
        guard problems.isEmpty else {
            throw ApusError(.configurationInvalid, problems.joined(separator: "\n"))
        }
    }

    /// A variable `APUS_…` that nothing reads is most likely a misspelt one, whose setting then is not what was meant.
    /// - Returns: a sentence for each.
    static func strangers(in environment: [String: String]) -> [String] {
        let known = ConfigurationTable.fields.map(\.variable) + self.otherVariables
        return environment.keys.sorted().filter { $0.hasPrefix("APUS_") && !known.contains($0) }.map { name in
            let hint = Suggestion.nearest(to: name, among: known).map { ", did you mean `\($0)`?" } ?? ""
            return "the variable `\(name)` is no setting and is ignored\(hint)"
        }
    }

    /// What the fields make of a server.
    /// - Throws: `configuration_invalid` with all that is wrong, a line each.
    func apply(to options: inout ServeOptions) throws(ApusError) {
        var problems: [String] = []
        for resolved in self.fields {
            guard let value = resolved.value else { continue }
            do throws(SettingRefusal) {
                try resolved.field.apply(&options, value)
            } catch {
                let message = "`\(resolved.field.path)` is `\(value.text.prefix(80))`, expected \(error.expected)"
                problems.append("\(resolved.origin.text): \(message)")
            }
        }
        guard problems.isEmpty else {
            throw ApusError(.configurationInvalid, problems.joined(separator: "\n"))
        }
    }

    private static func read(
        _ file: String?, isNamed: Bool, _ problems: inout [String]
    ) throws(ApusError) -> [String: SettingsFormat.Entry] {
        guard let file else { return [:] }
        let text: [UInt8]
        do throws(ApusError) {
            text = try DataArgument.readFile(file, limit: Limits.Commands.manifestBytes)
        } catch {
            throw ApusError(.configurationInvalid, "the configuration file \(error.message)", cause: error)
        }
        do throws(ManifestErrors) {
            let entries = try ConfigurationTable.format.read(text, file: file)
            return Dictionary(uniqueKeysWithValues: entries.map { ($0.path, $0) })
        } catch {
            problems += error.description.split(whereSeparator: \.isNewline).map(String.init)
            return [:]
        }
    }

    private static func resolve(
        _ field: ConfigurationField, _ entry: SettingsFormat.Entry?, _ arguments: ParsedArguments,
        _ environment: [String: String], _ problems: inout [String]
    ) -> Resolved {
        if let option = field.option, let text = Self.text(of: option, arguments) {
            return Self.parse(text, field, .option(option.name), &problems)
        }
        if let text = environment[field.variable] {
            return Self.parse(text, field, .variable(field.variable), &problems)
        }
        if let entry {
            let origin = entry.location.map { Origin.file($0) } ?? .standard
            return Resolved(field: field, value: entry.value, origin: origin)
        }
        guard let standard = field.setting.standard else {
            return Resolved(field: field, value: nil, origin: .standard)
        }
        return Self.parse(standard, field, .standard, &problems)
    }

    /// What an option says, as a variable would.
    private static func text(of option: OptionDescription, _ arguments: ParsedArguments) -> String? {
        if option.placeholder == nil { return arguments.has(option.name) ? "true" : nil }
        if option.repeats {
            let all = arguments.all(option.name)
            return all.isEmpty ? nil : all.joined(separator: ",")
        }
        return arguments[option.name]
    }

    private static func parse(
        _ text: String, _ field: ConfigurationField, _ origin: Origin, _ problems: inout [String]
    ) -> Resolved {
        var text = text
        switch origin {
        case .option, .variable: if field.isPath { text = ConfigurationPath.fromHere(text) }
        case .standard, .file: break
        }
        // A default is written as in the file: `[]` and `{}` are nothing there, too.
        if origin == .standard, text == "[]" || text == "{}" { text = "" }
        do throws(ManifestErrors) {
            let value = try SettingsFormat.read(text, as: field.setting)
            return Resolved(field: field, value: value, origin: origin)
        } catch {
            problems.append("\(origin.text): \(error.description)")
            return Resolved(field: field, value: nil, origin: origin)
        }
    }
}
