internal import ApusCore

/// How long a client may keep a result, and whether others may see it.
public struct CacheHint: Sendable, Equatable {
    public var ttlMilliseconds: Int
    /// The same for everybody.
    public var isPublic: Bool

    public init(ttlMilliseconds: Int, isPublic: Bool) {
        self.ttlMilliseconds = ttlMilliseconds
        self.isPublic = isPublic
    }
}

/// Writes messages to clients. What an era demands of every result is added here and nowhere else, so that no handler forgets it.
public struct MessageWriter: Sendable {
    public enum ResultType: String, Sendable { case complete, inputRequired = "input_required", task }

    public let era: Era
    /// `{"name": …, "version": …}`.
    private let serverInfo: [UInt8]

    public init(_ era: Era, serverInfo: [UInt8]) {
        self.era = era
        self.serverInfo = serverInfo
    }

    public static func serverInfo(name: String, title: String?, version: String) -> [UInt8] {
        var json = Array(#"{"name":"#.utf8)
        JSONText.append(name, to: &json)
        if let title {
            json.append(contentsOf: #","title":"#.utf8)
            JSONText.append(title, to: &json)
        }
        json.append(contentsOf: #","version":"#.utf8)
        JSONText.append(version, to: &json)
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// - Parameters:
    ///   - members: of the result, as JSON without the braces around them.
    ///   - cache: for what clients may keep.
    ///   - meta: members of `_meta`, without braces.
    public func result(
        _ id: MessageID, _ members: some Collection<UInt8>, type: ResultType = .complete, cache: CacheHint? = nil,
        meta: [UInt8] = []
    ) -> [UInt8] {
        self.result(id, byteCount: members.count, type: type, cache: cache, meta: meta) {
            $0.append(contentsOf: members)
        }
    }

    /// The same for members that are put together here and nowhere before: a page of a list is large.
    /// - Parameters:
    ///   - byteCount: of the members, about; 0 for none.
    ///   - members: appends them.
    public func result(
        _ id: MessageID, byteCount: Int, type: ResultType = .complete, cache: CacheHint? = nil, meta: [UInt8] = [],
        _ members: (inout [UInt8]) -> Void
    ) -> [UInt8] {
        var json: [UInt8] = []
        json.reserveCapacity(byteCount + id.token.count + self.serverInfo.count + meta.count + 192)
        json.append(contentsOf: Self.head.utf8)
        json.append(contentsOf: id.token)
        json.append(contentsOf: #","result":{"#.utf8)
        self.appendResult(byteCount == 0, members, type, cache, meta, to: &json)
        json.append(contentsOf: "}}".utf8)
        return json
    }

    private func appendResult(
        _ isEmpty: Bool, _ members: (inout [UInt8]) -> Void, _ type: ResultType, _ cache: CacheHint?, _ meta: [UInt8],
        to json: inout [UInt8]
    ) {
        guard self.era == .modern else {
            members(&json)
            guard !meta.isEmpty else { return }
            json.append(contentsOf: isEmpty ? #""_meta":{"#.utf8 : #","_meta":{"#.utf8)
            json.append(contentsOf: meta)
            json.append(UInt8(ascii: "}"))
            return
        }
        json.append(contentsOf: #""resultType":""#.utf8)
        json.append(contentsOf: type.rawValue.utf8)
        json.append(UInt8(ascii: "\""))
        if !isEmpty { json.append(UInt8(ascii: ",")) }
        members(&json)
        if let cache {
            json.append(contentsOf: #","ttlMs":\#(cache.ttlMilliseconds),"cacheScope":"#.utf8)
            json.append(contentsOf: (cache.isPublic ? #""public""# : #""private""#).utf8)
        }
        json.append(contentsOf: #","_meta":{"io.modelcontextprotocol/serverInfo":"#.utf8)
        json.append(contentsOf: self.serverInfo)
        if !meta.isEmpty {
            json.append(UInt8(ascii: ","))
            json.append(contentsOf: meta)
        }
        json.append(UInt8(ascii: "}"))
    }

    /// - Parameter id: nil where it could not be read.
    public static func error(_ id: MessageID?, _ error: RPCError) -> [UInt8] {
        var json = Array(Self.head.utf8)
        json.append(contentsOf: id?.token ?? MessageID.null)
        json.append(contentsOf: #","error":{"code":\#(error.code.rawValue),"message":"#.utf8)
        JSONText.append(error.message, to: &json)
        if let data = error.data {
            json.append(contentsOf: #","data":"#.utf8)
            json.append(contentsOf: data)
        }
        json.append(contentsOf: "}}".utf8)
        return json
    }

    /// - Parameter params: JSON, an object; nil for none.
    public static func notification(_ method: String, _ params: [UInt8]? = nil) -> [UInt8] {
        var json = Array(#"{"jsonrpc":"2.0","method":"\#(method)""#.utf8)
        if let params {
            json.append(contentsOf: #","params":"#.utf8)
            json.append(contentsOf: params)
        }
        json.append(UInt8(ascii: "}"))
        return json
    }

    /// A request of ours to the client of a session.
    public static func request(_ id: MessageID, _ method: String, _ params: some Collection<UInt8>) -> [UInt8] {
        var json = Array(Self.head.utf8)
        json.append(contentsOf: id.token)
        json.append(contentsOf: #","method":"\#(method)","params":"#.utf8)
        json.append(contentsOf: params)
        json.append(UInt8(ascii: "}"))
        return json
    }

    private static let head = #"{"jsonrpc":"2.0","id":"#
}
