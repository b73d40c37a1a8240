internal import ApusCore

/// What a text in a manifest must look like.
enum TextRule: CaseIterable {
    case any, description, label, topic, resourceName, attribute, variable, path, handler, labelKey, moment, cron, zone,
        toolName, urlPath
    case url, sha256, hostAndPort, secret
    case schema, scope, argument, uri, uriTemplate

    /// For messages: what was expected.
    var expected: String {
        switch self {
        case .any: "text of at most \(Limits.Manifest.textValueBytes) bytes without control characters"
        case .description: "text of at most \(Limits.Manifest.descriptionBytes) bytes"
        case .label: "1 to \(Limits.labelBytes) of a-z, 0-9 and -, with no - at the ends"
        case .topic:
            "1 to \(Limits.topicNameBytes) of A-Z, a-z, 0-9, `.`, `_` and `-`, not starting with `apus.` or `ns.`"
        case .resourceName: "a name"
        case .attribute: "the name of an attribute: 1 to 64 of a-z and 0-9"
        case .variable: "the name of a variable: letters, digits and _, no digit first"
        case .path: "a relative path of at most \(Limits.Manifest.pathBytes) bytes"
        case .handler: "text of at most \(Limits.Manifest.handlerBytes) bytes without control characters"
        case .labelKey: "1 to 128 of letters, digits, `.`, `_`, `-` and `/`"
        case .moment: "a moment such as 2026-07-28T12:00:00Z"
        case .cron: "a cron line such as */5 * * * *"
        case .zone: "a time zone such as Europe/Paris"
        case .toolName: "1 to 128 of letters, digits, `_`, `-` and `.`"
        case .urlPath: "a path such as /embed/{id}"
        case .url: "a URL starting with https:// or http://"
        case .sha256: "64 hexadecimal digits"
        case .hostAndPort: "a host and a port such as api.example.com:443"
        case .secret: "the name of a secret: letters, digits and _, no digit first"
        case .schema: "a JSON Schema of at most \(Limits.Manifest.schemaBytes) bytes, or the path of a file with one"
        case .scope: "1 to 128 of letters, digits, `.`, `_`, `-`, `:` and `/`"
        case .argument: "1 to 128 of letters, digits, `.`, `_`, `-` and `$`"
        case .uri: "a URI with its scheme, as notes://today"
        case .uriTemplate: "a URI with variables between braces, each once, as notes://{year}/{name}"
        }
    }

    /// The rule as a regular expression of JSON Schema; it may accept a little more than ``isMet(by:)``, never less.
    var pattern: String? {
        switch self {
        case .any, .description, .handler, .schema: nil
        case .label: "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
        case .topic, .resourceName: "^[A-Za-z0-9._-]{1,249}$"
        case .attribute: "^[a-z0-9]{1,64}$"
        case .variable, .secret: "^[A-Za-z_][A-Za-z0-9_]*$"
        case .path: "^[^/]"
        case .labelKey: "^[A-Za-z0-9._/-]{1,128}$"
        case .moment: Moment.pattern
        case .cron: "^\\s*(@[A-Za-z]+|\\S+(\\s+\\S+){4})\\s*$"
        case .zone: "^[A-Za-z0-9_+/-]{1,64}$"
        case .toolName: "^[A-Za-z0-9_.-]{1,128}$"
        case .urlPath: "^/"
        case .url: "^https?://."
        case .sha256: "^[0-9a-fA-F]{64}$"
        case .hostAndPort: "^[^\\s/@]+:[0-9]{1,5}$"
        case .scope: "^[A-Za-z0-9._:/-]{1,128}$"
        case .argument: "^[A-Za-z0-9._$-]{1,128}$"
        case .uri, .uriTemplate: "^[A-Za-z][A-Za-z0-9+.-]*:"
        }
    }

    func isMet(by text: String) -> Bool {
        switch self {
        case .any: text.utf8.count <= Limits.Manifest.textValueBytes && Self.isPrintable(text)
        case .description: text.utf8.count <= Limits.Manifest.descriptionBytes && !text.utf8.contains(0)
        case .handler: (1...Limits.Manifest.handlerBytes).contains(text.utf8.count) && Self.isPrintable(text)
        case .label: isLabel(text)
        case .topic, .resourceName: TopicName.isWellFormed(text)
        case .attribute:
            (1...64).contains(text.utf8.count) && text.utf8.allSatisfy { Self.isLower($0) || Self.isDigit($0) }
        case .variable, .secret: Self.isIdentifier(text)
        case .path:
            (1...Limits.Manifest.pathBytes).contains(text.utf8.count) && !text.hasPrefix("/") && Self.isPrintable(text)
        case .labelKey: self.consists(text, 1...128, "._-/")
        case .moment: Moment.parse(text) != nil
        case .cron: self.reason(against: text) == nil
        case .zone: self.consists(text, 1...64, "_+-/")
        case .toolName: self.consists(text, 1...128, "_-.")
        case .urlPath:
            (1...Limits.Manifest.pathBytes).contains(text.utf8.count) && text.hasPrefix("/") && Self.isPrintable(text)
        case .url:
            text.utf8.count <= Limits.Manifest.pathBytes && Self.isPrintable(text)
                && ["https://", "http://"].contains { text.hasPrefix($0) && text.utf8.count > $0.utf8.count }
        case .sha256: text.utf8.count == 64 && text.utf8.allSatisfy(Self.isHexDigit)
        case .hostAndPort: self.reason(against: text) == nil
        case .schema: text.utf8.count <= Limits.Manifest.schemaBytes && !text.utf8.contains(0)
        case .scope: self.consists(text, 1...128, "._-:/")
        case .argument: self.consists(text, 1...128, "._-$")
        case .uri: Self.isURI(text) && !text.utf8.contains { $0 == UInt8(ascii: "{") || $0 == UInt8(ascii: "}") }
        case .uriTemplate: Self.isURI(text) && URITemplate(text).map { !$0.variables.isEmpty } ?? false
        }
    }

    /// What exactly is wrong with a text that does not meet the rule, where that can be told.
    func reason(against text: String) -> String? {
        switch self {
        case .cron: do throws(CronError) { _ = try CronSchedule(text) } catch { return error.message }
        case .hostAndPort:
            do throws(NetworkTextError) { _ = try NetworkRule(text) } catch { return "it \(error.message)" }
        default: break
        }
        return nil
    }

    private func consists(_ text: String, _ counts: ClosedRange<Int>, _ others: String) -> Bool {
        counts.contains(text.utf8.count)
            && text.utf8.allSatisfy {
                Self.isLower($0) || Self.isUpper($0) || Self.isDigit($0) || others.utf8.contains($0)
            }
    }

    private static func isLower(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isUpper(_ byte: UInt8) -> Bool { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isHexDigit(_ byte: UInt8) -> Bool {
        Self.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            || (UInt8(ascii: "A")...UInt8(ascii: "F")).contains(byte)
    }

    /// A scheme, a colon and something behind it, no spaces.
    private static func isURI(_ text: String) -> Bool {
        guard text.utf8.count <= Limits.Manifest.pathBytes, let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")),
            let first = text.utf8.first, Self.isLower(first) || Self.isUpper(first)
        else { return false }
        return text.utf8[..<colon].allSatisfy {
            Self.isLower($0) || Self.isUpper($0) || Self.isDigit($0) || "+.-".utf8.contains($0)
        } && text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } && text.utf8.index(after: colon) < text.utf8.endIndex
    }

    static func isIdentifier(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, !Self.isDigit(first), text.utf8.count <= 256 else { return false }
        return text.utf8.allSatisfy {
            Self.isLower($0) || Self.isUpper($0) || Self.isDigit($0) || $0 == UInt8(ascii: "_")
        }
    }

    private static func isPrintable(_ text: String) -> Bool { text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F } }
}
