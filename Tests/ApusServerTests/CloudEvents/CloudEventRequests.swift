import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

/// Requests for the decoder, as tests write them.
enum Sent {
    static let defaults = CloudEventDecoder.Defaults(id: "made-up", source: "/made/up", type: "dev.made.up")
    /// What a binary event needs at least.
    static let required = [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")]

    static func binary(_ headers: [(String, String)], _ body: [UInt8] = []) throws(ApusError) -> Event {
        let events = try CloudEventDecoder.events(
            headers: headers.map { HTTPHeader($0.0, $0.1) }, body: body, defaults: self.defaults)
        guard let event = events.first, events.count == 1 else {
            throw ApusError(.internal, "\(events.count) events from binary mode")
        }
        return event
    }

    /// - Parameter members: what stands beside the required attributes, as JSON with a comma before it.
    static func structured(_ members: String = "", key: String? = nil) throws(ApusError) -> Event {
        try self.structured(
            bytes: Array(#"{"specversion":"1.0","id":"1","source":"/s","type":"t"\#(members)}"#.utf8), key: key)
    }

    static func structured(bytes: [UInt8], key: String? = nil) throws(ApusError) -> Event {
        var headers = [HTTPHeader("Content-Type", "application/cloudevents+json; charset=UTF-8")]
        if let key { headers.append(HTTPHeader("Apus-Key", key)) }
        let events = try CloudEventDecoder.events(headers: headers, body: bytes, defaults: self.defaults)
        guard let event = events.first, events.count == 1 else {
            throw ApusError(.internal, "\(events.count) events from structured mode")
        }
        return event
    }

    static func batch(_ body: String) throws(ApusError) -> [Event] {
        let headers = [HTTPHeader("Content-Type", "application/cloudevents-batch+json")]
        return try CloudEventDecoder.events(headers: headers, body: Array(body.utf8), defaults: self.defaults)
    }
}

/// Expects the refusal of that code.
func expectRefusal(
    _ code: ErrorCode, _ what: String = "", sourceLocation: SourceLocation = #_sourceLocation,
    _ body: () throws(ApusError) -> some Any
) {
    do throws(ApusError) {
        let accepted = try body()
        Issue.record("accepted: \(accepted) \(what)", sourceLocation: sourceLocation)
    } catch {
        #expect(error.code == code, "\(error) \(what)", sourceLocation: sourceLocation)
    }
}

func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
