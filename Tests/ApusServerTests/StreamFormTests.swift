import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct StreamFormTests {
    private func written(_ type: String, _ wantsEvents: Bool, _ parts: [[UInt8]]) -> String {
        var form = StreamForm(type, wantsEvents: wantsEvents)
        var bytes: [UInt8] = []
        for part in parts { part.withUnsafeBytes { bytes += form.part($0) } }
        return String(decoding: bytes + form.end(), as: UTF8.self)
    }

    private func bytes(_ texts: String...) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    @Test func bytesGoAsTheyAreAndJSONALineEach() {
        #expect(self.written("text/csv", false, self.bytes("a", "b\n")) == "ab\n")
        #expect(self.written("application/x-ndjson", false, self.bytes("1\n", "2\n")) == "1\n2\n")
        #expect(self.written("application/json", false, self.bytes("1", "2")) == "1\n2\n")
        #expect(
            StreamForm("application/json", wantsEvents: false).headers("application/json").map(\.1) == [
                "application/x-ndjson"
            ])
    }

    @Test func linesBecomeEventsHoweverTheyAreCut() {
        let expected = "data: {\"a\":1}\n\ndata: 2\n\nevent: end\ndata: \n\n"
        #expect(self.written("application/x-ndjson", true, self.bytes("{\"a\":1}\n", "2\n")) == expected)
        #expect(self.written("application/x-ndjson", true, self.bytes("{\"a", "\":1}\n2", "\n")) == expected)
        #expect(self.written("application/x-ndjson", true, self.bytes("{\"a\":1}\n2")) == expected)
    }

    @Test func partsThatAreNoTextAreEventsInBase64() {
        #expect(
            self.written("application/octet-stream", true, [Array("hé".utf8), [0xFF]])
                == "data: hé\n\nevent: base64\ndata: /w==\n\nevent: end\ndata: \n\n")
    }

    @Test func aFunctionMayWriteEventsItself() {
        #expect(self.written("text/event-stream", true, self.bytes("data: 1\n\n")) == "data: 1\n\n")
        #expect(!StreamForm("text/event-stream", wantsEvents: true).saysErrors)
    }
}
