internal import ApusCore
internal import ApusJSON

/// Answers that come as JSON values: a line each, or all in one list.
enum JSONLines {
    /// Calls `body` with each value as it comes.
    static func read(_ client: APIClient, _ request: APIRequest, _ body: @escaping (JSONValue) throws -> Void) throws {
        var lines = LineSplitter(lineBytes: Limits.Commands.answerLineBytes)
        try client.stream(request) { chunk in
            for line in try lines.take(chunk) { try Self.each(line, body) }
            return true
        }
        if let last = lines.finish() { try Self.each(last, body) }
    }

    private static func each(_ line: [UInt8], _ body: (JSONValue) throws -> Void) throws {
        guard line.contains(where: { $0 != 0x20 && $0 != 0x09 }) else { return }
        let value: JSONValue
        do throws(ApusError) { value = try JSONValue.parse(line, refusesDuplicates: false) } catch {
            throw ApusError(
                .internal, "the server's answer is not the JSON that was expected: is something else listening there?",
                cause: error)
        }
        for element in Self.list(value) ?? [value] { try body(element) }
    }

    /// The elements of a list: `[…]` or `{"items": […]}`.
    static func list(_ value: JSONValue) -> [JSONValue]? { value.array ?? value["items"]?.array }
}
