/// What INIT says.
struct Configuration: Sendable {
    struct Trigger: Sendable {
        var name: String
        var topic: String
    }

    var function: Context.Function
    var concurrency: Int
    var triggers: [Trigger]
    var hasBatch: Bool
    /// Names of the secrets that come on descriptor 5.
    var secrets: [String]

    init(parsing bytes: some Sequence<UInt8>) throws {
        let json = try JSON(parsing: bytes)
        self.function = Context.Function(
            name: json["function"]?.string ?? "", namespace: json["namespace"]?.string ?? "",
            revision: json["revision"]?.string ?? "")
        self.concurrency = max(1, json["concurrency"]?.integer ?? 1)
        self.triggers = (json["triggers"]?.array ?? []).map {
            Trigger(name: $0["name"]?.string ?? "", topic: $0["topic"]?.string ?? "")
        }
        self.hasBatch = json["batch"]?.object != nil
        self.secrets = (json["secrets"]?.array ?? []).compactMap(\.string)
    }
}
