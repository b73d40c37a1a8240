/// The request of an HTTP trigger, as its event carries it.
public struct HTTPRequest: Sendable, Equatable {
    public let method: String
    /// Below `/fn`, decoded.
    public let path: String
    /// What the names in the trigger's pattern stood for, decoded.
    public let parameters: [String: String]
    /// What followed the question mark, as it was sent.
    public let query: String?
    /// Names in lower case; one may come more than once.
    public let headers: [Event.Header]

    private static let prefix = "apus-http-"
    private static let parameterPrefix = "apus-http-param-"

    init?(_ headers: [Event.Header]) {
        var own: [String: String] = [:]
        var parameters: [String: String] = [:]
        var others: [Event.Header] = []
        for header in headers {
            if header.name.hasPrefix(Self.parameterPrefix) {
                parameters[String(header.name.dropFirst(Self.parameterPrefix.count))] = header.text
            } else if header.name.hasPrefix(Self.prefix) {
                own[String(header.name.dropFirst(Self.prefix.count))] = header.text
            } else {
                others.append(header)
            }
        }
        guard let method = own["method"] else { return nil }
        self.method = method
        self.path = own["path"] ?? "/"
        self.parameters = parameters
        self.query = own["query"]
        self.headers = others
    }

    /// The first header of that name.
    public subscript(name: String) -> String? {
        let name = name.lowercased()
        return self.headers.first { $0.name == name }?.text
    }
}
