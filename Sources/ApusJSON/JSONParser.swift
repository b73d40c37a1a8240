public import ApusCore
internal import CSimdJSON

/// Parses JSON and lends a view of it without building anything. One per thread; it keeps its memory for the next text.
public final class JSONParser {
    private let parser: OpaquePointer

    public init() {
        guard let parser = apus_json_parser_new() else { preconditionFailure("no memory for a JSON parser") }
        self.parser = parser
    }

    deinit { apus_json_parser_free(self.parser) }

    /// Lends the parsed document to `body`; the view must not leave it.
    ///
    /// Integers beyond 64 bits and numbers no `Double` holds are refused, although the grammar allows them.
    /// - Throws: `invalid_json` with line and column, or what `body` throws.
    public func parse<Result>(
        _ text: UnsafeRawBufferPointer, _ body: (JSONView) throws(ApusError) -> Result
    ) throws(ApusError) -> Result {
        var tape: UnsafePointer<UInt64>?
        var strings: UnsafePointer<UInt8>?
        guard text.count <= Limits.JSON.textBytes else {
            throw ApusError(
                .invalidJSON, "The JSON has \(text.count) bytes; at most \(Limits.JSON.textBytes) can be read.")
        }
        let start = text.baseAddress?.assumingMemoryBound(to: UInt8.self)
        let code = apus_json_parse(self.parser, start, text.count, &tape, &strings)
        guard code == 0, let tape, let strings else { throw Self.explain(text, String(cString: apus_json_error(code))) }
        return try body(JSONView(tape: tape, strings: strings, at: 1))
    }

    /// Lends the parsed document to `body`; the view must not leave it.
    /// - Throws: `invalid_json` with line and column, or what `body` throws.
    public func parse<Result>(
        _ text: [UInt8], _ body: (JSONView) throws(ApusError) -> Result
    ) throws(ApusError) -> Result {
        // `withUnsafeBytes` does not carry a typed error, so the outcome is carried out as a value.
        let outcome = text.withUnsafeBytes { (bytes) -> Swift.Result<Result, ApusError> in
            do throws(ApusError) { return .success(try self.parse(bytes, body)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }

    /// simdjson says that a text is wrong; our own checker says where and what was expected.
    private static func explain(_ text: UnsafeRawBufferPointer, _ reason: String) -> ApusError {
        do throws(JSONSyntaxError) {
            try JSONChecker.check(text)
        } catch {
            return error.asApusError
        }
        return ApusError(
            .invalidJSON, "The JSON cannot be read: \(reason). Integers must fit 64 bits, other numbers a double.")
    }
}
