/// A place in a manifest's file.
public struct SourceLocation: Sendable, Hashable, CustomStringConvertible {
    public let file: String
    /// From 1.
    public let line: Int
    /// In characters, from 1.
    public let column: Int

    public init(file: String, line: Int, column: Int) {
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String { "\(self.file):\(self.line):\(self.column)" }
}

/// Where the fields of a manifest stand, for what is found wrong later: a topic that does not exist, a handler that is
/// missing.
///
/// It is no part of what the manifest says: manifests are equal whatever these are, and the JSON form carries none.
public struct SourceLocations: Sendable, Equatable {
    private var places: [String: SourceLocation] = [:]
    private var triggers: [String: String] = [:]

    init() {}

    mutating func note(_ path: String, _ location: SourceLocation?) {
        if let location { self.places[path] = location }
    }

    mutating func noteTrigger(_ name: String, _ path: String) { self.triggers[name] = path }

    /// The path of a trigger, `spec.triggers[1]`: the manifest keeps those of each kind in a list of their own.
    public func path(ofTrigger name: String) -> String? { self.triggers[name] }

    /// The place of a field such as `spec.triggers[0].topic`, or of the nearest that holds it; nil for a manifest that
    /// came as JSON.
    public subscript(path: String) -> SourceLocation? {
        var path = path[...]
        while true {
            if let place = self.places[String(path)] { return place }
            guard let cut = path.lastIndex(where: { $0 == "." || $0 == "[" }) else { return self.places[""] }
            path = path[..<cut]
        }
    }

    public static func == (left: SourceLocations, right: SourceLocations) -> Bool { true }
}
