internal import ApusCore
internal import CYAML

/// Reads YAML with libyaml's events into trees, within bounds.
///
/// A syntax error ends the reading; what came before it is returned all the same, so that its errors are told too.
struct YAMLReader: ~Copyable {
    private let source: SourceText
    private let parser: UnsafeMutablePointer<yaml_parser_t>
    private var anchors: [String: (node: YAMLNode, size: Int)] = [:]
    private var aliases = 0
    private var nodes = 0
    private var problems: [ManifestError] = []
    private let bounds: YAMLBounds

    /// All documents of a text that are not empty, and what is wrong with it as YAML.
    static func read(
        _ source: SourceText, bounds: YAMLBounds = YAMLBounds()
    ) -> (documents: [YAMLNode], problems: [ManifestError]) {
        guard source.bytes.count <= bounds.textBytes else {
            let message = "the file has \(source.bytes.count) bytes, expected at most \(bounds.textBytes)"
            return ([], [ManifestError(.manifestInvalid, source.start, message)])
        }
        if let offset = source.firstInvalidByte {
            return (
                [],
                [
                    ManifestError(
                        .manifestInvalid, source.location(ofByte: offset), "this byte is not UTF-8, expected UTF-8 text"
                    )
                ]
            )
        }
        var reader = YAMLReader(source, bounds)
        // The bytes stay where they are until the reader is gone: libyaml keeps a pointer into them.
        return source.bytes.withUnsafeBufferPointer { bytes in
            yaml_parser_set_encoding(reader.parser, YAML_UTF8_ENCODING)
            yaml_parser_set_input_string(reader.parser, bytes.baseAddress, bytes.count)
            let documents = reader.documents()
            return (documents, reader.problems)
        }
    }

    private init(_ source: SourceText, _ bounds: YAMLBounds) {
        self.source = source
        self.bounds = bounds
        self.parser = .allocate(capacity: 1)
        let isReady = yaml_parser_initialize(self.parser) == 1
        precondition(isReady, "no memory for a YAML parser")
    }

    deinit {
        yaml_parser_delete(self.parser)
        self.parser.deallocate()
    }

    private mutating func documents() -> [YAMLNode] {
        var documents: [YAMLNode] = []
        do throws(ManifestError) {
            while true {
                let event = try self.next()
                switch event.kind {
                case YAML_STREAM_END_EVENT: return documents
                case YAML_DOCUMENT_START_EVENT:
                    guard documents.count < Limits.Manifest.documents else {
                        throw self.problem(
                            event.location, "one more document, expected at most \(Limits.Manifest.documents) in a file"
                        )
                    }
                    self.anchors.removeAll()
                    let node = try self.node(try self.next(), depth: 0).node
                    if !node.isNull { documents.append(node) }
                default: continue
                }
            }
        } catch {
            self.problems.append(error)
            return documents
        }
    }

    private func problem(_ location: SourceLocation?, _ message: String) -> ManifestError {
        ManifestError(.manifestInvalid, location, message)
    }

    // MARK: nodes

    private mutating func node(_ event: YAMLEvent, depth: Int) throws(ManifestError) -> (node: YAMLNode, size: Int) {
        try self.count(1, event.location)
        switch event.kind {
        case YAML_ALIAS_EVENT: return try self.alias(event)
        case YAML_SCALAR_EVENT:
            let result = (try self.scalar(event), 1)
            if let anchor = event.anchor { self.anchors[anchor] = result }
            return result
        default:
            guard depth < self.bounds.depth else {
                throw self.problem(
                    event.location,
                    "lists and mappings lie too deep, expected at most \(self.bounds.depth) inside one another")
            }
            try self.checkTag(event, ["map", "seq"])
            let isMapping = event.kind == YAML_MAPPING_START_EVENT
            let result = isMapping ? try self.mapping(event, depth) : try self.sequence(event, depth)
            // Only now: an alias inside its own anchor stands for nothing.
            if let anchor = event.anchor { self.anchors[anchor] = result }
            return result
        }
    }

    private mutating func alias(_ event: YAMLEvent) throws(ManifestError) -> (node: YAMLNode, size: Int) {
        self.aliases += 1
        guard self.aliases <= Limits.Manifest.aliases else {
            throw self.problem(event.location, "one more alias, expected at most \(Limits.Manifest.aliases) in a file")
        }
        guard let anchored = self.anchors[event.text] else {
            let hint = Suggestion.hint(for: event.text, among: Array(self.anchors.keys))
            throw self.problem(event.location, "the alias `*\(event.text)` has no anchor before it\(hint)")
        }
        try self.count(anchored.size, event.location)
        var node = anchored.node
        node.location = event.location
        return (node, anchored.size)
    }

    private mutating func count(_ more: Int, _ location: SourceLocation) throws(ManifestError) {
        self.nodes += more
        guard self.nodes <= self.bounds.nodes else {
            throw self.problem(
                location, "too many values, expected at most \(self.bounds.nodes) with aliases replaced")
        }
    }

    private func scalar(_ event: YAMLEvent) throws(ManifestError) -> YAMLNode {
        try self.checkTag(event, ["str"])
        let isPlain = event.isPlain && event.tag == nil
        var node = YAMLNode(
            isPlain ? YAMLScalar.resolve(event.text) : .string(event.text), text: event.text, location: event.location)
        node.inset = event.inset
        return node
    }

    private func checkTag(_ event: YAMLEvent, _ allowed: [String]) throws(ManifestError) {
        guard let tag = event.tag, tag != "!", !allowed.contains(where: { tag == "tag:yaml.org,2002:\($0)" }) else {
            return
        }
        throw self.problem(
            event.location, "the tag `\(YAMLNode.shorten(tag))` is not known, expected a value without a tag")
    }

    private mutating func sequence(_ event: YAMLEvent, _ depth: Int) throws(ManifestError) -> (
        node: YAMLNode, size: Int
    ) {
        var elements: [YAMLNode] = []
        var size = 1
        while true {
            let next = try self.next()
            if next.kind == YAML_SEQUENCE_END_EVENT { break }
            let element = try self.node(next, depth: depth + 1)
            elements.append(element.node)
            size += element.size
        }
        return (YAMLNode(.sequence(elements), location: event.location), size)
    }

    private mutating func mapping(_ event: YAMLEvent, _ depth: Int) throws(ManifestError) -> (node: YAMLNode, size: Int)
    {
        var entries: [YAMLNode.Entry] = []
        var names: Set<String> = []
        var merged: [YAMLNode] = []
        var size = 1
        while true {
            let key = try self.next()
            if key.kind == YAML_MAPPING_END_EVENT { break }
            guard key.kind == YAML_SCALAR_EVENT else {
                throw self.problem(key.location, "this name is no plain text, expected the name of a field")
            }
            try self.count(1, key.location)
            try self.checkTag(key, ["str"])
            if let anchor = key.anchor { self.anchors[anchor] = (try self.scalar(key), 1) }
            let value = try self.node(try self.next(), depth: depth + 1)
            size += value.size + 1
            if key.text == "<<", key.isPlain {
                merged.append(value.node)
            } else if names.insert(key.text).inserted {
                entries.append(YAMLNode.Entry(key: key.text, keyLocation: key.location, value: value.node))
            } else {
                self.problems.append(
                    self.problem(
                        key.location, "the field `\(YAMLNode.shorten(key.text))` is there twice, expected it once"))
            }
        }
        for value in merged { try self.merge(value, into: &entries, &names) }
        return (YAMLNode(.mapping(entries), location: event.location), size)
    }

    /// `<<: *base` gives what the mapping does not say itself; of a list of mappings the first that says it.
    private func merge(_ value: YAMLNode, into entries: inout [YAMLNode.Entry], _ names: inout Set<String>)
        throws(ManifestError)
    {
        switch value.content {
        case .mapping(let others):
            for other in others where names.insert(other.key).inserted { entries.append(other) }
        case .sequence(let nodes):
            for node in nodes {
                guard case .mapping = node.content else {
                    throw self.problem(node.location, "`<<` merges \(node.found), expected mappings")
                }
                try self.merge(node, into: &entries, &names)
            }
        default:
            throw self.problem(value.location, "`<<` merges \(value.found), expected a mapping or a list of mappings")
        }
    }

    // MARK: events

    private mutating func next() throws(ManifestError) -> YAMLEvent {
        var event = yaml_event_t()
        guard yaml_parser_parse(self.parser, &event) == 1 else { throw self.syntaxError() }
        defer { yaml_event_delete(&event) }
        return YAMLEvent(event, self.source)
    }

    private func syntaxError() -> ManifestError {
        let state = self.parser.pointee
        let problem = state.problem.map { String(cString: $0) } ?? "it cannot be read"
        guard state.error != YAML_READER_ERROR else {
            return self.problem(self.source.location(ofByte: Int(state.problem_offset)), "not YAML: \(problem)")
        }
        let context = state.context.map { " \(String(cString: $0))" } ?? ""
        return self.problem(
            self.source.location(ofScalar: Int(state.problem_mark.index)), "not YAML: \(problem)\(context)")
    }
}

/// What of libyaml's event is needed, copied out of its memory.
private struct YAMLEvent {
    let kind: yaml_event_type_t
    let location: SourceLocation
    /// The text of a scalar, the anchor an alias names.
    let text: String
    let isPlain: Bool
    /// See ``YAMLNode/inset``.
    var inset: Int?
    let tag: String?
    let anchor: String?

    init(_ event: yaml_event_t, _ source: SourceText) {
        self.kind = event.type
        self.location = source.location(ofScalar: Int(event.start_mark.index))
        switch event.type {
        case YAML_SCALAR_EVENT:
            let scalar = event.data.scalar
            self.text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
            self.isPlain = scalar.style == YAML_PLAIN_SCALAR_STYLE
            // On one line and without escapes: what stands there is the text and its quotes, nothing else.
            let span = Int(event.end_mark.index) - Int(event.start_mark.index) - self.text.unicodeScalars.count
            if event.start_mark.line == event.end_mark.line, span == (self.isPlain ? 0 : 2) { self.inset = span / 2 }
            self.tag = YAMLEvent.text(scalar.tag)
            self.anchor = YAMLEvent.text(scalar.anchor)
        case YAML_ALIAS_EVENT:
            self.text = YAMLEvent.text(event.data.alias.anchor) ?? ""
            self.isPlain = false
            self.tag = nil
            self.anchor = nil
        case YAML_SEQUENCE_START_EVENT:
            self.text = ""
            self.isPlain = false
            self.tag = YAMLEvent.text(event.data.sequence_start.tag)
            self.anchor = YAMLEvent.text(event.data.sequence_start.anchor)
        case YAML_MAPPING_START_EVENT:
            self.text = ""
            self.isPlain = false
            self.tag = YAMLEvent.text(event.data.mapping_start.tag)
            self.anchor = YAMLEvent.text(event.data.mapping_start.anchor)
        default:
            self.text = ""
            self.isPlain = false
            self.tag = nil
            self.anchor = nil
        }
    }

    private static func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
        pointer.map { String(cString: $0) }
    }
}
