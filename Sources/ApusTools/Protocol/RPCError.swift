public import ApusCore

/// An error as JSON-RPC answers it, with the status of HTTP that goes with it.
public struct RPCError: Error, Sendable, Equatable {
    public enum Code: Int, Sendable {
        case parseError = -32700
        case invalidRequest = -32600
        case methodNotFound = -32601
        case invalidParams = -32602
        case internalError = -32603
        case headerMismatch = -32020
        case missingCapability = -32021
        case unsupportedVersion = -32022
        /// Of sessions only: since 2026-07-28 a resource that is not there is invalid parameters.
        case legacyResourceNotFound = -32002
        // Ours, outside the range that JSON-RPC keeps for itself.
        case rateLimited = 42900
        case forbidden = 40300
        case unavailable = 50300
    }

    public var code: Code
    public var message: String
    /// JSON.
    public var data: [UInt8]?
    /// Some clients take any 4xx for the end of the connection: only what the specification demands is one.
    public var status: UInt32
    /// When it is worth asking again.
    public var retryAfter: TimeSpan?

    public init(
        _ code: Code, _ message: String, data: [UInt8]? = nil, status: UInt32 = 200, retryAfter: TimeSpan? = nil
    ) {
        self.code = code
        self.message = message
        self.data = data
        self.status = status
        self.retryAfter = retryAfter
    }

    /// Parameters that are none, of a request that is otherwise sound.
    public static func invalidParams(_ message: String, data: [UInt8]? = nil) -> RPCError {
        RPCError(.invalidParams, message, data: data)
    }

    public static func headerMismatch(_ message: String) -> RPCError {
        RPCError(.headerMismatch, message, status: 400)
    }

    /// - Parameter legacy: there a method that is not known is answered like any other error.
    public static func methodNotFound(_ method: String, era: Era) -> RPCError {
        RPCError(
            .methodNotFound, "the method '\(method.prefix(128))' is not known here", status: era == .modern ? 404 : 200)
    }

    /// What the client must declare before it may ask this.
    public static func missing(_ capabilities: ClientCapabilities) -> RPCError {
        RPCError(
            .missingCapability,
            "the client does not declare what this needs: \(capabilities.names.joined(separator: ", "))",
            data: Array(#"{"requiredCapabilities":"#.utf8) + capabilities.json + Array("}".utf8), status: 400)
    }

    static func unsupported(_ version: String) -> RPCError {
        var data = Array(#"{"supported":"#.utf8) + ProtocolRevision.supportedJSON + Array(#","requested":"#.utf8)
        JSONText.append(String(version.prefix(64)), to: &data)
        data.append(UInt8(ascii: "}"))
        return RPCError(
            .unsupportedVersion, "this revision of the protocol is not spoken here", data: data, status: 400)
    }
}
