internal import ApusCore

/// Writes spans as OTLP/HTTP wants them in JSON: `ExportTraceServiceRequest`, ids in hexadecimal, times in nanoseconds as
/// strings, enumerations as numbers.
public enum OTLPTraces {
    public static let path = "/v1/traces"
    public static let mediaType = "application/json"

    /// - Parameter resource: what is said once of all of them: `service.name` and so on.
    public static func encode(_ spans: [Span], resource: [Span.Attribute], version: String) -> [UInt8] {
        var json = Text()
        json.bytes.reserveCapacity(spans.count * 768 + 512)
        json.raw(#"{"resourceSpans":[{"resource":"#)
        json.object { $0.attributes(resource) }
        json.raw(#","scopeSpans":[{"scope":{"name":"apus","version":"#)
        json.string(version)
        json.raw(#"},"spans":"#)
        json.array(spans) { json, span in json.span(span) }
        json.raw("}]}]}")
        return json.bytes
    }

    private struct Text {
        var bytes: [UInt8] = []

        mutating func raw(_ text: String) { self.bytes.append(contentsOf: text.utf8) }
        mutating func string(_ text: String) { JSONText.append(text, to: &self.bytes) }

        mutating func object(_ body: (inout Text) -> Void) {
            self.raw("{")
            body(&self)
            self.raw("}")
        }

        mutating func array<Element>(_ elements: [Element], _ body: (inout Text, Element) -> Void) {
            self.raw("[")
            for (index, element) in elements.enumerated() {
                if index > 0 { self.raw(",") }
                body(&self, element)
            }
            self.raw("]")
        }

        mutating func attributes(_ attributes: [Span.Attribute]) {
            self.raw(#""attributes":"#)
            self.array(attributes) { json, attribute in
                json.raw(#"{"key":"#)
                json.string(attribute.name)
                json.raw(#","value":{"#)
                switch attribute.value {
                case .string(let text):
                    json.raw(#""stringValue":"#)
                    json.string(text)
                // 64-bit integers are strings in the JSON form of protocol buffers.
                case .integer(let number): json.raw("\"intValue\":\"\(number)\"")
                case .boolean(let flag): json.raw("\"boolValue\":\(flag)")
                }
                json.raw("}}")
            }
        }

        private mutating func ids(_ context: TraceContext) {
            self.raw("\"traceId\":\"\(context.trace)\",\"spanId\":\"\(context.span)\"")
        }

        mutating func span(_ span: Span) {
            self.raw("{")
            self.ids(span.context)
            if let parent = span.parent { self.raw(",\"parentSpanId\":\"\(parent)\"") }
            if let state = span.state {
                self.raw(#","traceState":"#)
                self.string(state)
            }
            self.raw(#","name":"#)
            self.string(span.name)
            self.raw(",\"kind\":\(span.kind.rawValue),\"flags\":\(span.context.isSampled ? 1 : 0)")
            self.raw(",\"startTimeUnixNano\":\"\(Self.nanoseconds(span.start))\"")
            self.raw(",\"endTimeUnixNano\":\"\(Self.nanoseconds(span.end))\",")
            self.attributes(span.attributes)
            if !span.moments.isEmpty { self.moments(span.moments) }
            if !span.links.isEmpty {
                self.raw(#","links":"#)
                self.array(span.links) { json, link in json.object { $0.ids(link) } }
            }
            self.raw(#","status":{"#)
            if let failure = span.failure {
                self.raw(#""code":2,"message":"#)
                self.string(failure)
            }
            self.raw("}}")
        }

        private mutating func moments(_ moments: [Span.Moment]) {
            self.raw(#","events":"#)
            self.array(moments) { json, moment in
                json.raw("{\"timeUnixNano\":\"\(Self.nanoseconds(moment.time))\",\"name\":")
                json.string(moment.name)
                json.raw(",")
                json.attributes(moment.attributes)
                json.raw("}")
            }
        }

        private static func nanoseconds(_ time: Timestamp) -> Int64 { max(0, time.microseconds) &* 1_000 }
    }
}
