import ApusHost
import Testing

@testable import ApusServer

/// Secrets in what functions return to agents.
@Suite struct ResultMaskTests {
    private static let mask: ResultMask = {
        var masks = SecretMasks()
        for value in ["hunter2-long", "4242424242", #""part": "of json""#] { Array(value.utf8).withUnsafeBytes { masks.add($0) } }
        return ResultMask(masks: masks)
    }()

    private func masked(_ type: String?, _ text: String) -> String? {
        Self.mask.apply(type, Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test(arguments: ["application/json", "application/problem+json", "application/vnd.apus.content+json"])
    func inJSONASecretIsFoundHoweverItIsWritten(_ type: String) {
        #expect(self.masked(type, #"{"key": "is \u0068unter2-l\u006fng", "n": 1.50}"#) == #"{"key": "is ***", "n": 1.50}"#)
        #expect(self.masked(type, #"{"key": "hunter2-long"}"#) == #"{"key": "***"}"#)
        #expect(self.masked(type, #"{"4242424242": "\u0034242424242"}"#) == #"{"***": "***"}"#)
        #expect(self.masked(type, #"{"half": "\ud83d \u0068unter2-long"}"#) == #"{"half": "\#u{FFFD} ***"}"#)
        #expect(self.masked(type, #"{"a": "\u0061"}"#) == #"{"a": "\u0061"}"#, "what needs no mask stays as it was written")
        #expect(self.masked(type, #"{"key": 4242424242}"#) == nil, "without it this is no JSON")
        #expect(self.masked(type, #"{"part": "of json", "a": 1}"#) == nil, "nor is this")
    }

    @Test func linesOfJSONAreEachMasked() {
        let lines = #"["hunter2-long"]"# + "\n" + #"["\u0068unter2-long"]"# + "\n"
        #expect(self.masked("application/x-ndjson", lines) == #"["***"]"# + "\n" + #"["***"]"# + "\n")
    }

    @Test func whatIsNoJSONIsMaskedAsItStands() {
        #expect(self.masked("text/plain", #"a hunter2-long " 4242424242"#) == #"a *** " ***"#)
        #expect(self.masked("application/octet-stream", #"\u0068unter2-long"#) == #"\u0068unter2-long"#)
        #expect(self.masked(nil, "hunter2-long") == nil, "without a type it counts as JSON")
    }
}
