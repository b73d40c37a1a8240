public import ApusCore
internal import ApusJSON

/// What a setting of a configuration file may be.
public indirect enum SettingKind: Sendable {
    case text
    case boolean
    case integer(ClosedRange<Int64>)
    /// From 0 to 1.
    case fraction
    case span(ClosedRange<TimeSpan>)
    case bytes(ClosedRange<Int64>)
    case choice([String])
    case texts(max: Int)
    /// Names with texts.
    case pairs(max: Int)
    /// A list of things of the same settings, of which those named must be there.
    case records([Setting], required: Set<String>, max: Int)

    var shape: Shape {
        switch self {
        case .text: .text(.any)
        case .boolean: .boolean
        case .integer(let range): .integer(range)
        case .fraction: .fraction
        case .span(let range): .span(range)
        case .bytes(let range): .bytes(range)
        case .choice(let names): .choice(names.map { Choice($0) })
        case .texts(let max): .list(.text(.any), max: max)
        case .pairs(let max): .map(key: .scope, value: .scalarText(.any), max: max)
        case .records(let settings, let required, let max):
            .list(
                .object(
                    ObjectShape(
                        settings.map { Field($0.path, $0.kind.shape, $0.about, required: required.contains($0.path)) }
                    )), max: max)
        }
    }
}

/// One field of a configuration file.
public struct Setting: Sendable {
    /// Where it stands: `log.format` is `format` inside `log`.
    public let path: String
    public let kind: SettingKind
    /// Sentences that say what it is, for whoever edits the file.
    public let about: String
    /// What holds when nothing else is said, as it would be written; nil when then nothing is set.
    public let standard: String?

    public init(_ path: String, _ kind: SettingKind, _ about: String, default standard: String?) {
        self.path = path
        self.kind = kind
        self.about = about
        self.standard = standard
    }
}

/// The value of a setting that was read and fits its kind. Each kind has its own way to ask.
public struct SettingValue: Sendable {
    private let value: Checked.Value

    init(_ value: Checked.Value) { self.value = value }

    public var text: String {
        guard case .text(let text) = self.value else { return self.written }
        return text
    }
    public var isOn: Bool { if case .boolean(let value) = self.value { value } else { false } }
    public var integer: Int64 { if case .integer(let value) = self.value { value } else { 0 } }
    public var fraction: Double { if case .json(let value) = self.value { value.double ?? 0 } else { 0 } }
    public var span: TimeSpan { TimeSpan(microseconds: self.integer) }
    public var texts: [String] {
        if case .list(let elements) = self.value { elements.compactMap(\.text) } else { [] }
    }
    public var pairs: [String: String] {
        if case .map = self.value { Checked(value: self.value, path: "", location: nil).texts } else { [:] }
    }

    /// Of a list of things, each by the paths of its settings.
    public var records: [[String: SettingValue]] {
        guard case .list(let elements) = self.value else { return [] }
        return elements.map { element in
            Dictionary(element.entries.map { ($0.name, SettingValue($0.value.value)) }, uniquingKeysWith: { $1 })
        }
    }

    /// The value in YAML, without its unit: ``written(as:)`` knows the kind.
    private var written: String { Self.written(self.value) }

    private static func written(_ value: Checked.Value) -> String {
        switch value {
        case .text(let text): SettingText.quoted(text)
        case .boolean(let value): value ? "true" : "false"
        case .integer(let value): "\(value)"
        case .list(let elements): "[\(elements.map { Self.written($0.value) }.joined(separator: ", "))]"
        case .map(let entries):
            "{\(entries.map { "\(SettingText.quoted($0.name)): \(Self.written($0.value.value))" }.joined(separator: ", "))}"
        case .json(let value): String(decoding: value.encoded(), as: UTF8.self)
        case .filter(let filter): String(decoding: filter.json.encoded(), as: UTF8.self)
        }
    }

    /// The value with texts of a map in place of those whose names are secrets'.
    public func masking(_ isSecret: (String) -> Bool, as text: String) -> SettingValue {
        guard case .map(let entries) = self.value else { return self }
        return SettingValue(
            .map(
                entries.map { name, value in
                    let isMasked = isSecret(name)
                    return (
                        name,
                        Checked(value: isMasked ? .text(text) : value.value, path: value.path, location: value.location)
                    )
                }))
    }

    /// The value as a configuration file would say it.
    public func written(as kind: SettingKind) -> String {
        switch kind {
        case .span: self.span.description
        case .bytes: Quantity.text(bytes: self.integer)
        case .records(let settings, _, _):
            "[\(self.records.map { Self.written($0, settings) }.joined(separator: ", "))]"
        case .fraction where self.fraction == self.fraction.rounded(): "\(Int(self.fraction))"
        default: self.written
        }
    }
}

extension SettingValue {
    private static func written(_ record: [String: SettingValue], _ settings: [Setting]) -> String {
        let members = settings.compactMap { setting in
            record[setting.path].map { "\(setting.path): \($0.written(as: setting.kind))" }
        }
        return "{\(members.joined(separator: ", "))}"
    }
}

enum SettingText {
    /// A text as a YAML scalar: plain where nothing else can be read from it, else in double quotes.
    static func quoted(_ text: String) -> String {
        let isPlain: Bool
        if case .string = YAMLScalar.resolve(text) {
            isPlain = text.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || "/._-:".utf8.contains(byte)
            }
        } else {
            isPlain = false
        }
        if isPlain, !text.hasSuffix(":"), !text.hasPrefix("-"), !text.hasPrefix(":") { return text }
        var bytes: [UInt8] = []
        JSONText.append(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}
