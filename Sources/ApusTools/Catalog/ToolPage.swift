/// Which list is asked for.
public enum ToolList: String, Sendable, Hashable, CaseIterable { case tools, prompts, resources, templates }

/// A part of a list, ready to be put between brackets.
public struct ToolPage: Sendable, Equatable {
    /// Each as JSON; shared with the catalog, so that a page costs no copy of what it lists.
    public var items: [[UInt8]]
    /// Nil on the last page.
    public var nextCursor: String?
    /// Whether everybody, whoever asks, is shown the same list.
    public var isPublic: Bool

    /// The bytes of all items with commas between them.
    public var byteCount: Int { self.items.reduce(max(0, self.items.count - 1)) { $0 + $1.count } }

    public func appendItems(to json: inout [UInt8]) {
        for (index, item) in self.items.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            json.append(contentsOf: item)
        }
    }
}

/// What is wrong with a question about the catalog.
public enum ToolCatalogError: Error, Sendable, Equatable {
    /// Not one that this caller was given for this list.
    case invalidCursor
}
