public import ApusCore
internal import ApusJSON

/// What a function says that calls a tool, as the message that an agent would have sent: from there on both go the same way.
public enum InnerCallMessage {
    /// - Parameters:
    ///   - json: of the CALL, by code that nobody trusts: `{"name": …, "arguments": {…}}` and nothing else.
    ///   - traceparent: of the call within which it is made.
    public static func envelope(
        _ json: [UInt8], number: UInt32, traceparent: String?
    ) throws(ApusError) -> Envelope {
        let result = json.withUnsafeBytes { bytes -> Result<[JSONChecker.Member], JSONSyntaxError> in
            do throws(JSONSyntaxError) { return .success(try JSONChecker.members(of: bytes)) } catch { return .failure(error) }
        }
        guard case .success(let members) = result else {
            throw ApusError(.invalidArgument, "the call is no JSON object that can be read")
        }
        if let other = members.first(where: { $0.name != "name" && $0.name != "arguments" }) {
            throw ApusError(
                .invalidArgument, "'\(other.name.prefix(64))' is no part of a call: `name` and `arguments` are")
        }
        var body = Array(#"{"jsonrpc":"2.0","id":\#(number),"method":"tools/call","params":{"#.utf8)
        for member in members {
            body.append(contentsOf: "\"\(member.name)\":".utf8)
            body.append(contentsOf: json[member.value])
            body.append(UInt8(ascii: ","))
        }
        body.append(contentsOf: #""_meta":{"#.utf8)
        if let traceparent {
            body.append(contentsOf: #""traceparent":"#.utf8)
            JSONText.append(traceparent, to: &body)
        }
        body.append(contentsOf: "}}}".utf8)
        do throws(Refusal) { return try Envelope(parsing: body) } catch {
            throw ApusError(.invalidArgument, error.error.message)
        }
    }

    /// The result of a tool as a function is given it.
    /// - Parameters:
    ///   - members: as for ``MessageWriter/result(_:_:type:cache:meta:)``.
    public static func result(_ members: some Collection<UInt8>, meta: [UInt8]) -> [UInt8] {
        var json: [UInt8] = []
        json.reserveCapacity(members.count + meta.count + 16)
        json.append(UInt8(ascii: "{"))
        json.append(contentsOf: members)
        if !meta.isEmpty {
            if !members.isEmpty { json.append(UInt8(ascii: ",")) }
            json.append(contentsOf: #""_meta":{"#.utf8)
            json.append(contentsOf: meta)
            json.append(UInt8(ascii: "}"))
        }
        json.append(UInt8(ascii: "}"))
        return json
    }
}
