internal import ApusCore
internal import ApusHTTP
internal import ApusJSON

/// An event as the answer to a request: in binary mode, or structured or batched where the caller wants that more.
struct CloudEventAnswer {
    enum Mode: CaseIterable {
        case binary
        case structured
        case batched

        var mediaType: String? {
            switch self {
            case .binary: nil
            case .structured: "application/cloudevents+json"
            case .batched: "application/cloudevents-batch+json"
            }
        }
    }

    var contentType: String
    var headers: [(String, String)]
    /// Nil when there is no data.
    var body: [UInt8]?

    /// - Parameter type: the media type that the data itself has.
    static func mode(_ accept: AcceptHeader, type: String) -> Mode {
        let offers = [MediaType(parsing: type)?.essence ?? "application/octet-stream"]
        let structured = Mode.allCases.compactMap(\.mediaType)
        let best = accept.best(of: offers + structured)
        return Mode.allCases.first { $0.mediaType == best && best != nil } ?? .binary
    }

    /// The result of an invocation. In binary mode a plain value stays plain: only a function that said something of the event
    /// gives its caller one.
    /// - Throws: `result_too_large` for attributes that no head can hold.
    static func of(_ result: Event, _ call: InvocationCall, accept: AcceptHeader) throws(ApusError) -> CloudEventAnswer
    {
        let type = HeaderValue.contentType(result["datacontenttype"])
        let mode = self.mode(accept, type: type)
        let isPlain =
            result.key == nil
            && result.attributes.allSatisfy { $0.kind == .header || $0.name == "datacontenttype" }
        if isPlain, mode == .binary { return CloudEventAnswer(contentType: type, headers: [], body: result.data) }
        let function = call.function
        let defaults = CloudEventDecoder.Defaults(
            id: call.identity, source: "/apus/\(function.namespace)/\(function.name)", type: "dev.apus.result")
        guard mode == .binary else {
            return Self.inJSON(CloudEventEncoder.json(result, defaults), mode)
        }
        let headers = CloudEventEncoder.headers(result, defaults)
        guard CloudEventEncoder.isSendable(headers) else { throw Self.tooLong(.resultTooLarge) }
        return CloudEventAnswer(contentType: type, headers: headers, body: result.data)
    }

    /// A record of a topic.
    /// - Throws: `event_too_large` for attributes that no head can hold.
    static func of(_ record: Event, _ place: CloudEventEncoder.Place, accept: AcceptHeader) throws(ApusError)
        -> CloudEventAnswer
    {
        let type = HeaderValue.contentType(record["datacontenttype"])
        let mode = self.mode(accept, type: type)
        guard mode == .binary else {
            return Self.inJSON(
                CloudEventEncoder.json(record, partition: place.partition, offset: place.offset), mode)
        }
        let headers = CloudEventEncoder.headers(record, place)
        guard CloudEventEncoder.isSendable(headers) else { throw Self.tooLong(.eventTooLarge) }
        return CloudEventAnswer(contentType: type, headers: headers, body: record.data)
    }

    private static func inJSON(_ json: [UInt8], _ mode: Mode) -> CloudEventAnswer {
        CloudEventAnswer(
            contentType: mode.mediaType ?? "application/json", headers: [],
            body: mode == .batched ? [UInt8(ascii: "[")] + json + [UInt8(ascii: "]")] : json)
    }

    private static func tooLong(_ code: ErrorCode) -> ApusError {
        ApusError(
            code,
            "the attributes of the event are too long for headers: ask with `Accept: application/cloudevents+json`")
    }
}
