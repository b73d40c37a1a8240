import ApusCore
import Testing

@testable import ApusServer

/// Events in structured mode that come by Kafka: the rules are those of HTTP.
@Suite struct StructuredEventTests {
    private func read(_ text: String, _ type: String = "application/cloudevents+json") throws(ApusError) -> Event {
        let bytes = Array(text.utf8)
        let result = bytes.withUnsafeBytes { value -> Result<Event, ApusError> in
            do throws(ApusError) {
                return .success(try StructuredEvent.read(value, contentType: type))
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    private func code(_ text: String, _ type: String = "application/cloudevents+json") -> ErrorCode? {
        do throws(ApusError) {
            _ = try self.read(text, type)
            return nil
        } catch { return error.code }
    }

    private let start = #"{"specversion": "1.0", "id": "1", "source": "/s", "type": "t""#

    @Test func dataIsTakenInEveryForm() throws {
        #expect(try self.read(self.start + "}").data == nil)
        #expect(try self.read(self.start + #", "data": {"a": [1, 2.50]}}"#).data == Array(#"{"a": [1, 2.50]}"#.utf8))
        #expect(try self.read(self.start + #", "data_base64": "AAH/"}"#).data == [0, 1, 255])
        #expect(
            try self.read(self.start + #", "datacontenttype": "text/plain", "data": "é"}"#).data == Array("é".utf8))
        let event = try self.read(self.start + #", "partitionkey": "p", "subject": null, "n": 5, "b": true}"#)
        #expect(event.key == nil)
        #expect(event["partitionkey"] == "p")
        #expect(event["subject"] == nil)
        #expect(event.attributes.first { $0.name == "n" }?.kind == .integer)
        #expect(event.attributes.first { $0.name == "b" }?.kind == .boolean)
    }

    @Test func whatIsNoEventIsRefused() {
        #expect(self.code("") == .invalidJSON)
        #expect(self.code("null") == .invalidJSON)
        #expect(self.code("{}") == .invalidEvent)
        #expect(self.code(self.start) == .invalidJSON)
        #expect(self.code(self.start + #", "Upper": 1}"#) == .invalidEvent)
        #expect(self.code(self.start + #", "data": 1, "data_base64": "AA=="}"#) == .invalidEvent)
        #expect(self.code(self.start + #", "data_base64": "A"}"#) == .invalidEvent)
        #expect(self.code(self.start + "}", "application/cloudevents-batch+json") == .unsupportedMediaType)
        for type in [
            "Application/CloudEvents-Batch+JSON", "application/cloudevents-batch+json; charset=utf-8",
            "application/cloudevents-batch+json ;charset",
        ] {
            // A record is one event: also where a batch holds one, or its value is one.
            #expect(self.code("[" + self.start + "}]", type) == .unsupportedMediaType)
            #expect(self.code(self.start + "}", type) == .unsupportedMediaType)
        }
        #expect(self.code(self.start + "}", "application/cloudevents+avro") == .unsupportedMediaType)
        #expect(self.code(self.start + "}", "application/cloudevents+json; charset=utf-16") == .unsupportedMediaType)
        #expect(self.code(self.start + "}", "Application/CloudEvents+JSON; charset=UTF-8") == nil)
    }
}
