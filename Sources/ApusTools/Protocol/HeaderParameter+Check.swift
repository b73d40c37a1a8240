internal import ApusJSON

extension [HeaderParameter] {
    /// - Throws: `header_mismatch` where head and arguments do not say the same.
    public func check(_ head: RoutingHead, _ envelope: Envelope) throws(RPCError) {
        if head.isBridged, head.parameters.isEmpty { return }
        for header in self {
            let key = header.header.lowercased()
            let values = head.parameters.filter { $0.name == key }.map(\.value)
            let title = "Mcp-Param-\(header.header)"
            guard values.count <= 1 else { throw .headerMismatch("the header \(title) comes more than once") }
            var argument = envelope.parameters.arguments
            for step in header.path { argument = envelope.member(step, of: argument) }
            if argument?.kind == .null { argument = nil }
            try header.compare(values.first, argument, envelope, title)
        }
    }
}

extension HeaderParameter {
    fileprivate func compare(
        _ value: String?, _ argument: JSONSlices.Value?, _ envelope: Envelope, _ title: String
    ) throws(RPCError) {
        let path = self.path.joined(separator: ".")
        guard let argument else {
            if value == nil { return }
            throw .headerMismatch("the header \(title) is there, but the argument '\(path)' is not")
        }
        // What no header can say is the schema's business.
        let isPrimitive = argument.kind == .string || argument.kind == .number || argument.kind == .boolean
        guard isPrimitive || value != nil else { return }
        guard let value else {
            throw .headerMismatch("the header \(title) is missing: the argument '\(path)' is there")
        }
        guard let decoded = HeaderText.decode(value) else {
            throw .headerMismatch("the header \(title) holds base64 that is none")
        }
        guard self.isSame(decoded, argument, envelope) else {
            throw .headerMismatch("the header \(title) is not what the argument '\(path)' says")
        }
    }

    private func isSame(_ value: String, _ argument: JSONSlices.Value, _ envelope: Envelope) -> Bool {
        switch argument.kind {
        case .string: return envelope.text(argument)?.isSame(as: value) ?? false
        case .number:
            let written = String(decoding: envelope.bytes(argument), as: UTF8.self)
            if written == value { return true }
            guard self.kind == .integer, let left = Self.integer(written), let right = Self.integer(value) else {
                return false
            }
            return left == right
        case .boolean: return envelope.bytes(argument).elementsEqual(value.utf8)
        case .object, .array, .null: return false
        }
    }

    /// `42` and `42.0`; no exponents.
    private static func integer(_ text: String) -> Int64? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 1 || (!parts[1].isEmpty && parts[1].utf8.allSatisfy { $0 == UInt8(ascii: "0") }),
            !parts[0].hasPrefix("+")
        else { return nil }
        return Int64(parts[0])
    }
}
