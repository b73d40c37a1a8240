import ApusCore
import Testing

@Suite struct RFC3339Tests {
    @Test(arguments: [
        (0, "1970-01-01T00:00:00Z"), (1_772_374_509_123_456, "2026-03-01T14:15:09.123456Z"),
        (951_782_400_500_000, "2000-02-29T00:00:00.500Z"),
        (-1_000_000, "1969-12-31T23:59:59Z"),
    ])
    func momentsAreWrittenAndReadAsRFC3339(_ microseconds: Int64, _ text: String) {
        #expect(RFC3339.format(Timestamp(microseconds: microseconds)) == text)
        #expect(RFC3339.parse(text)?.microseconds == microseconds)
    }

    @Test(arguments: [
        "", "2026", "2026-02-30", "2026-13-01", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00.Z",
        "x",
    ])
    func whatIsNoMomentIsNone(_ text: String) {
        #expect(RFC3339.parse(text) == nil)
    }

    @Test func offsetsAreTakenOff() {
        #expect(RFC3339.parse("2026-03-01T15:15:09+01:00") == RFC3339.parse("2026-03-01T14:15:09Z"))
        #expect(RFC3339.parse("2026-03-01") == RFC3339.parse("2026-03-01T00:00:00Z"))
    }
}
