internal import ApusCore
internal import ApusHTTP
internal import ApusTools

extension RoutingHead {
    /// What the head of a request says of the message in its body.
    init(_ exchange: HTTPExchange) {
        self.init()
        var type: String?
        var accept: String?
        exchange.forEachHeader { name, value in
            let text = { String(decoding: value, as: UTF8.self) }
            if name.hasPrefix(ignoringCase: "mcp-") {
                self.take(name, text())
            } else if name.equals(ignoringCase: "content-type") {
                type = text()
            } else if name.equals(ignoringCase: "accept") {
                accept = text()
            }
        }
        self.isJSON = Self.isPlainJSON(type)
        self.acceptsBoth = Self.acceptsBoth(accept)
    }

    private mutating func take(_ name: UnsafeRawBufferPointer, _ value: String) {
        if name.equals(ignoringCase: "mcp-protocol-version") {
            self.versions.append(value)
        } else if name.equals(ignoringCase: "mcp-method") {
            self.methods.append(value)
        } else if name.equals(ignoringCase: "mcp-name") {
            self.names.append(value)
        } else if name.equals(ignoringCase: "mcp-session-id") {
            self.sessionID = value
        } else if name.equals(ignoringCase: "mcp-apus-bridge") {
            self.isBridged = true
        } else if name.hasPrefix(ignoringCase: Self.parameterPrefix) {
            let key = name.dropFirst(Self.parameterPrefix.utf8CodeUnitCount)
            self.parameters.append((String(decoding: key, as: UTF8.self).lowercased(), value))
        }
    }

    /// Most clients write it in one of few ways, which need no reading.
    private static func isPlainJSON(_ type: String?) -> Bool {
        guard let type else { return false }
        if type == "application/json" { return true }
        return MediaType(parsing: type)?.essence == "application/json"
    }

    private static func acceptsBoth(_ accept: String?) -> Bool {
        guard let accept else { return false }
        if accept == "application/json, text/event-stream" { return true }
        let header = AcceptHeader(accept)
        return header.best(of: ["application/json"]) != nil && header.best(of: [ServerSentEvent.mediaType]) != nil
    }
}
