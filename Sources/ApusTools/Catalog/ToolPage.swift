/// Which list is asked for.
public enum ToolList: String, Sendable, Hashable, CaseIterable { case tools, prompts, resources, templates }

/// A part of a list, ready to be put between brackets.
public struct ToolPage: Sendable, Equatable {
    /// As JSON with commas between them; mostly shared with the catalog, so that a page costs no copy of what it lists.
    public var items: [UInt8]
    public var count: Int
    /// Nil on the last page.
    public var nextCursor: String?
    /// Whether everybody, whoever asks, is shown the same list.
    public var isPublic: Bool

    static let none = ToolPage(items: [], count: 0, nextCursor: nil, isPublic: false)
}

/// What is wrong with a question about the catalog.
public enum ToolCatalogError: Error, Sendable, Equatable {
    /// Not one that this caller was given for this list.
    case invalidCursor
}
