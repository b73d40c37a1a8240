/// What a body is: `application/json; charset=utf-8` (RFC 9110, section 8.3.1). Type and parameter names are in lower case.
public struct MediaType: Sendable, Equatable {
    public static let parametersMax = 16
    public let type: String
    public let subtype: String
    public private(set) var parameters: [HTTPHeader] = []

    /// `type/subtype`, without parameters.
    public var essence: String { "\(self.type)/\(self.subtype)" }
    /// `application/json` and everything that ends in `+json`.
    public var isJSON: Bool {
        self.essence == "application/json" || self.essence == "text/json" || self.subtype.hasSuffix("+json")
    }

    /// No other character set is named than UTF-8 or its part ASCII.
    public var isUTF8: Bool {
        guard let charset = self["charset"]?.lowercased() else { return true }
        return ["utf-8", "utf8", "us-ascii"].contains(charset)
    }

    public subscript(parameter: String) -> String? { self.parameters.first { $0.name == parameter }?.value }

    /// - Returns: nil when the text is no media type.
    public init?(parsing text: String) {
        var scanner = FieldScanner(text)
        scanner.skipSpace()
        guard let type = scanner.token(), scanner.take("/"), let subtype = scanner.token() else { return nil }
        self.type = type.lowercased()
        self.subtype = subtype.lowercased()
        guard let parameters = scanner.parameters(max: Self.parametersMax), scanner.isAtEnd else { return nil }
        self.parameters = parameters
    }
}

/// Walks the value of a header field over its tokens, quoted strings and parameters.
struct FieldScanner {
    private let bytes: [UInt8]
    private var at = 0

    init(_ text: String) { self.bytes = Array(text.utf8) }

    var isAtEnd: Bool { self.at == self.bytes.count }

    mutating func skipSpace() {
        while !self.isAtEnd, self.bytes[self.at] == 0x20 || self.bytes[self.at] == 0x09 { self.at += 1 }
    }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard !self.isAtEnd, self.bytes[self.at] == UInt8(ascii: character) else { return false }
        self.at += 1
        return true
    }

    mutating func token() -> String? {
        let start = self.at
        while !self.isAtEnd, isTokenByte(self.bytes[self.at]) { self.at += 1 }
        return start == self.at ? nil : String(decoding: self.bytes[start..<self.at], as: UTF8.self)
    }

    /// A token or a quoted string with its backslashes resolved.
    mutating func value() -> String? {
        guard self.take("\"") else { return self.token() }
        var text: [UInt8] = []
        while !self.isAtEnd {
            if self.take("\"") { return String(validating: text, as: UTF8.self) }
            if self.take("\\"), self.isAtEnd { return nil }
            guard self.bytes[self.at] >= 0x20 || self.bytes[self.at] == 0x09, self.bytes[self.at] != 0x7F else {
                return nil
            }
            text.append(self.bytes[self.at])
            self.at += 1
        }
        return nil
    }

    /// `; name=value` as often as it comes, space around each part allowed.
    mutating func parameters(max: Int) -> [HTTPHeader]? {
        var parameters: [HTTPHeader] = []
        self.skipSpace()
        while self.take(";") {
            self.skipSpace()
            // A semicolon with nothing after it is harmless.
            guard let name = self.token()?.lowercased() else { continue }
            guard parameters.count < max, self.take("="), let value = self.value() else { return nil }
            guard !parameters.contains(where: { $0.name == name }) else { return nil }
            parameters.append(HTTPHeader(name, value))
            self.skipSpace()
        }
        return parameters
    }
}
