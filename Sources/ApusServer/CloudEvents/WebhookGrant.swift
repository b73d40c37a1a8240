internal import ApusCore

/// What a sender of webhooks is told that asks whether it may send (HTTP 1.1 Web Hooks for Event Delivery, section 4).
///
/// Whoever may publish may send: the token decides, and no rate holds. A `WebHook-Request-Callback` is not called, as the grant
/// comes at once; a server that called addresses it is given could be made to call anything.
enum WebhookGrant {
    static let originHeader = "WebHook-Request-Origin"
    static let rateHeader = "WebHook-Request-Rate"

    /// - Throws: `invalid_argument` for an origin that is no name of a host, or a rate that is none.
    static func headers(origin: String, rate: String?) throws(ApusError) -> [(String, String)] {
        let isName =
            (1...253).contains(origin.utf8.count)
            && origin.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: ".-:".utf8.contains(byte)
                }
            }
        guard isName else {
            throw ApusError(.invalidArgument, "\(Self.originHeader): the name of the sender's host is expected")
        }
        if let rate, UInt32(rate).map({ $0 == 0 }) ?? true {
            throw ApusError(
                .invalidArgument, "\(Self.rateHeader): \(rate.prefix(32)): a number of requests per minute is expected")
        }
        return [("WebHook-Allowed-Origin", origin), ("WebHook-Allowed-Rate", "*")]
    }
}
