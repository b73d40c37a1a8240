/// Which lists a deploy changed, on which servers, and for whom.
public struct ToolCatalogChange: Sendable, Equatable {
    public struct Place: Sendable, Hashable {
        public let list: ToolList
        /// Nil for the whole namespace.
        public let server: String?

        public init(_ list: ToolList, on server: String?) {
            self.list = list
            self.server = server
        }
    }

    /// The scopes of what changed.
    var changes: [Place: Set<[String]>] = [:]

    public var isEmpty: Bool { self.changes.isEmpty }
    public var places: Set<Place> { Set(self.changes.keys) }

    /// Whether a caller sees another list than before.
    public func concerns(_ caller: ToolCaller, _ list: ToolList, on server: String?) -> Bool {
        self.changes[Place(list, on: server)]?.contains { caller.mayUse($0) } ?? false
    }
}

extension ToolCatalog {
    /// What is different from an earlier snapshot of the same namespace.
    public func change(from previous: ToolCatalog) -> ToolCatalogChange {
        var change = ToolCatalogChange()
        let servers = Set(self.selections.keys).union(previous.selections.keys)
        for server in servers.map(Optional.some) + [nil] {
            for list in ToolList.allCases {
                let (new, old) = (self.selection(server)?.listing(list), previous.selection(server)?.listing(list))
                let scopes = (new ?? ToolListing([])).changes(from: old ?? ToolListing([]))
                if !scopes.isEmpty { change.changes[.init(list, on: server)] = scopes }
            }
        }
        return change
    }
}
