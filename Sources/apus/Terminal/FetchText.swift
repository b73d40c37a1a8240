internal import ApusJSON

/// How far files are that come to a server: `3.1 GiB of 16.0 GiB, 19 %`.
enum FetchText {
    /// - Parameter json: an object with `fetched` and `bytes`.
    static func of(_ json: JSONValue) -> String { self.of(json["fetched"]?.integer ?? 0, bytes: json["bytes"]?.integer) }

    static func of(_ fetched: Int64, bytes: Int64?) -> String {
        guard let bytes, bytes > 0 else { return ByteText.short(fetched) }
        let part = Int((Double(min(fetched, bytes)) / Double(bytes) * 100).rounded(.down))
        return "\(ByteText.short(fetched)) of \(ByteText.short(bytes)), \(part) %"
    }
}
