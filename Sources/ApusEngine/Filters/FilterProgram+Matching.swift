internal import ApusCore

extension FilterProgram {
    /// Evaluates the filter on an event.
    /// - Throws: when the attributes are malformed.
    func evaluate(
        _ layout: EventLayout, _ event: UnsafeRawBufferPointer, _ reader: FilterDataReader?
    ) throws(FrameError) -> FilterOutcome {
        let result = withUnsafeTemporaryAllocation(of: FilterState.Slot.self, capacity: max(1, self.lookups.count)) {
            slots -> Result<FilterOutcome, FrameError> in
            slots.initialize(repeating: .nothing)
            do throws(FrameError) {
                try self.find(layout, event, slots)
            } catch {
                return .failure(error)
            }
            var state = FilterState(event, layout, slots, reader)
            let isMatch = self.matches(self.root, &state)
            return .success(FilterOutcome(isMatch: isMatch, error: state.firstError))
        }
        return try result.get()
    }

    /// Looks for all attributes and headers in one walk. The first of a name counts.
    func find(
        _ layout: EventLayout, _ event: UnsafeRawBufferPointer, _ slots: UnsafeMutableBufferPointer<FilterState.Slot>
    ) throws(FrameError) {
        if let key = layout.key {
            for index in self.lookups.indices where self.lookups[index].place == .key {
                slots[index] = .value(kind: Self.keyKind, key)
            }
        }
        try layout.forEachAttribute(in: event.bytes) { name, kind, value in
            let isHeader = kind == Attribute.Kind.header.rawValue
            for index in self.lookups.indices {
                let lookup = self.lookups[index]
                guard lookup.name.count == name.count, isHeader == (lookup.place == .header) else { continue }
                switch slots[index] {
                case .value(let known, _) where known != Self.keyKind: continue
                default: break
                }
                if self.equals(lookup.name, event, name) { slots[index] = .value(kind: kind, value) }
            }
            return true
        }
    }

    /// A kind that no attribute has: the record's key, which gives way to an attribute of that name.
    private static let keyKind: UInt8 = 255

    private func equals(_ own: Range<Int>, _ event: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        for index in 0..<own.count where self.text[own.lowerBound + index] != event[range.lowerBound + index] {
            return false
        }
        return true
    }

    // MARK: filters

    private func matches(_ index: Int32, _ state: inout FilterState) -> Bool {
        let node = self.nodes[Int(index)]
        switch node.operation {
        case .all:
            for child in self.children[Int(node.first)..<Int(node.second)] where !self.matches(child, &state) {
                return false
            }
            return true
        case .any:
            for child in self.children[Int(node.first)..<Int(node.second)] where self.matches(child, &state) {
                return true
            }
            return false
        case .notFilter: return !self.matches(node.first, &state)
        case .expression:
            // One that fails, or gives no Boolean, takes no event: CloudEvents say so.
            state.recover()
            let value = self.value(node.first, &state)
            guard !state.hasFailed else { return false }
            guard case .boolean(let isMatch) = value else {
                state.fail(.cast)
                return false
            }
            return isMatch
        default: return self.meets(node, &state)
        }
    }

    /// Whether a text is there and is, begins or ends as the condition says.
    private func meets(_ node: FilterNode, _ state: inout FilterState) -> Bool {
        guard let value = self.found(node.first, &state) else { return false }
        state.recover()
        let text = self.text(of: value, &state)
        let own = Int(node.second)..<Int(node.third)
        let excess = text.range.count - own.count
        guard excess >= 0, excess == 0 || node.operation != .exact else { return false }
        let start = node.operation == .suffix ? excess : 0
        return self.withBytes(text, state) { bytes in
            for index in 0..<own.count where self.text[own.lowerBound + index] != bytes[start + index] { return false }
            return true
        }
    }

    // MARK: values of the event

    /// What a lookup found; nil when there is no such thing.
    func found(_ lookup: Int32, _ state: inout FilterState) -> FilterValue? {
        if case .data(let path) = self.lookups[Int(lookup)].place { return self.data(path, &state) }
        guard case .value(let kind, let range) = state.slots[Int(lookup)] else { return nil }
        let text = FilterText(source: .event, range: range)
        switch Attribute.Kind(rawValue: kind) {
        case .integer:
            return self.withBytes(text, state) { Self.number($0) }.map { .integer($0) } ?? .text(text)
        case .boolean:
            return self.withBytes(text, state) { Self.truth($0) }.map { .boolean($0) } ?? .text(text)
        default: return .text(text)
        }
    }

    /// A value within the data, which is read at most once for an event and only where it is JSON.
    private func data(_ path: Int, _ state: inout FilterState) -> FilterValue? {
        if state.data == nil { state.data = self.readData(state) }
        guard let values = state.data, path < values.count, let value = values[path] else { return nil }
        switch value {
        case .boolean(let value): return .boolean(value)
        case .integer(let value): return .integer(value)
        case .part(let range):
            let data = state.layout.data
            guard range.lowerBound >= 0, range.upperBound <= data.count else { return nil }
            let start = data.lowerBound + range.lowerBound
            return .text(FilterText(source: .event, range: start..<start + range.count))
        case .made(let bytes):
            guard state.hasRoom(bytes.count) else { return .emptyText }
            let start = state.made.count
            state.made += bytes
            return .text(state.madeText(since: start))
        }
    }

    private func readData(_ state: FilterState) -> [FilterDataValue?] {
        let data = state.layout.data
        guard let reader = state.reader, !data.isEmpty, data.count == state.layout.dataCount, self.isJSON(state) else {
            return []
        }
        return reader(UnsafeRawBufferPointer(rebasing: state.event[data]), self.paths)
    }

    /// By its media type; without one it may be.
    private func isJSON(_ state: FilterState) -> Bool {
        var isJSON = true
        // The attributes were walked before: they are whole.
        try? state.layout.forEachAttribute(in: state.event.bytes) { name, kind, value in
            guard kind != Attribute.Kind.header.rawValue,
                state.event[name].elementsEqual("datacontenttype".utf8)
            else { return true }
            var type = UnsafeRawBufferPointer(rebasing: state.event[value])
            if let end = type.firstIndex(of: UInt8(ascii: ";")) {
                type = UnsafeRawBufferPointer(rebasing: type[..<end])
            }
            while let last = type.last, last == 0x20 || last == 0x09 {
                type = UnsafeRawBufferPointer(rebasing: type.dropLast())
            }
            isJSON = Self.isJSON(type)
            return false
        }
        return isJSON
    }

    private static func isJSON(_ type: UnsafeRawBufferPointer) -> Bool {
        guard type.count > 5, let mark = type.dropLast(4).last, "/+".utf8.contains(mark) else { return false }
        return type.suffix(4).elementsEqual("json".utf8) { $0 | 0x20 == $1 }
    }
}
