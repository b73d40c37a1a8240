/// An object of JSON whose members keep their order. A name is in it once.
///
/// Looking up walks: meant for the objects of APIs and configuration, not for maps of thousands.
public struct JSONObject: Sendable, Equatable, Sequence, ExpressibleByDictionaryLiteral {
    public struct Member: Sendable, Equatable {
        public var name: String
        public var value: JSONValue

        public init(_ name: String, _ value: JSONValue) {
            self.name = name
            self.value = value
        }
    }

    public private(set) var members: [Member] = []

    public init() {}

    /// For members whose names are known to differ.
    init(distinct members: [Member]) { self.members = members }

    /// A later member of a name replaces an earlier one, in its place.
    public init(_ members: some Sequence<(String, JSONValue)>) {
        for (name, value) in members { self[name] = value }
    }

    public init(dictionaryLiteral elements: (String, JSONValue)...) { self.init(elements) }

    public var isEmpty: Bool { self.members.isEmpty }
    public var count: Int { self.members.count }
    public var names: [String] { self.members.map(\.name) }

    /// Setting nil removes the member; setting a new one appends it.
    public subscript(name: String) -> JSONValue? {
        get { self.members.first { $0.name == name }?.value }
        set {
            let index = self.members.firstIndex { $0.name == name }
            switch (index, newValue) {
            case (let index?, let value?): self.members[index].value = value
            case (let index?, nil): self.members.remove(at: index)
            case (nil, let value?): self.members.append(Member(name, value))
            case (nil, nil): break
            }
        }
    }

    public func makeIterator() -> [Member].Iterator { self.members.makeIterator() }
}
