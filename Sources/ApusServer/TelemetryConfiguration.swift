/// Where traces go. Off without an endpoint.
public struct TelemetryConfiguration: Sendable, Equatable {
    /// The base URL of an OTLP/HTTP receiver, as `http://127.0.0.1:4318`; `/v1/traces` is added to it.
    public var endpoint: String?
    /// Sent with every export, as the receiver's own token.
    public var headers: [String: String] = [:]
    /// The part of traces begun here that is exported, 0 to 1. What a caller decided in `traceparent` stays decided.
    public var sample = 1.0

    public init() {}
}
