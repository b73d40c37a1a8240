public import ApusCore

/// An event in structured mode that did not come by HTTP: the value of a record on Kafka, say. The same rules hold.
public enum StructuredEvent {
    /// - Throws: `invalid_event`, `invalid_json`, `unsupported_media_type` or `event_too_large`.
    public static func read(_ value: UnsafeRawBufferPointer, contentType: String) throws(ApusError) -> Event {
        var event = try CloudEventDecoder.structured(value, contentType: contentType)
        // The record has its own.
        event.key = nil
        return event
    }
}
