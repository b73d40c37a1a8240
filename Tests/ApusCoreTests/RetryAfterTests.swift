import ApusCore
import Testing

@Suite struct RetryAfterTests {
    private let now = Timestamp(microseconds: 784_111_777_000_000)

    /// Behaviour 34.
    @Test(arguments: [
        ("0", 0), ("120", 120), ("99999999999999999999", 9_223_372_036_854), ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("Sun, 06 Nov 1994 08:50:07 GMT", 30), ("Mon, 07 Nov 1994 08:49:37 GMT", 86_400),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ])
    func secondsAndMomentsAreRead(_ text: String, _ seconds: Int64) {
        #expect(RetryAfter.span(text, now: self.now) == .seconds(seconds))
    }

    @Test(arguments: [
        "", "-1", "1.5", "soon", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET",
        "Sun Nov  6 08:49:37 1994",
    ])
    func anythingElseIsNothing(_ text: String) { #expect(RetryAfter.span(text, now: self.now) == nil) }
}
