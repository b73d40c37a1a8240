/// The parameters after the question mark, in the order they were sent.
public struct RequestQuery: Sendable, Equatable {
    public static let parametersMax = 128
    public private(set) var parameters: [HTTPHeader] = []

    /// Why a query is refused.
    public enum Failure: Error, Sendable, Equatable {
        case tooManyParameters
        case malformedEncoding
        case invalidUTF8

        public var message: String {
            switch self {
            case .tooManyParameters: "a query has at most \(RequestQuery.parametersMax) parameters"
            case .malformedEncoding: "% in a query is followed by two hexadecimal digits"
            case .invalidUTF8: "a query is UTF-8"
            }
        }
    }

    /// - Parameter raw: as sent, without the question mark; nil is no parameters.
    public init(parsing raw: String?) throws(Failure) {
        guard let raw, !raw.isEmpty else { return }
        for part in raw.split(separator: "&", omittingEmptySubsequences: true) {
            guard self.parameters.count < Self.parametersMax else { throw .tooManyParameters }
            let equals = part.firstIndex(of: "=") ?? part.endIndex
            let value = equals == part.endIndex ? "" : part[part.index(after: equals)...]
            self.parameters.append(HTTPHeader(try Self.decode(part[..<equals]), try Self.decode(value)))
        }
    }

    /// The value of the first parameter of that name; names compare with case.
    public subscript(name: String) -> String? { self.parameters.first { $0.name == name }?.value }

    /// The first name that is none of these, or comes twice: so that a misspelt parameter is an error and not ignored.
    public func unexpected(besides known: Set<String>) -> String? {
        var seen: Set<String> = []
        for parameter in self.parameters where !known.contains(parameter.name) || !seen.insert(parameter.name).inserted
        {
            return parameter.name
        }
        return nil
    }

    private static func decode(_ text: Substring) throws(Failure) -> String {
        do { return try PercentDecoding.text(of: text.utf8, plusIsSpace: true) } catch {
            switch error {
            case .malformed: throw .malformedEncoding
            case .invalidUTF8: throw .invalidUTF8
            }
        }
    }
}
