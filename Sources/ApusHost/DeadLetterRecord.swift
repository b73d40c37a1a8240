internal import ApusCore
internal import ApusEngine

/// What a dead letter says of the delivery that was given up.
struct DeadLetterReason {
    var topic: TopicName
    var partition: Int
    var offset: Offset
    var attempts: Int
    var failure: Failure
    var function: ResourceName
    var trigger: String
    var time: Timestamp
    var revision: String

    func headers() -> [Attribute] {
        func header(_ name: String, _ value: String) -> Attribute { Attribute(name, value, kind: .header) }
        return [
            header(DeadLetterHeader.topic, self.topic.onLog),
            header(DeadLetterHeader.partition, "\(self.partition)"),
            header(DeadLetterHeader.offset, "\(self.offset)"),
            header(DeadLetterHeader.attempts, "\(self.attempts)"),
            header(DeadLetterHeader.code, self.failure.code.rawValue),
            header(DeadLetterHeader.message, clipped(self.failure.message, to: Limits.Host.messageBytes)),
            header(DeadLetterHeader.function, "\(self.function.namespace)/\(self.function.name)"),
            header(DeadLetterHeader.trigger, self.trigger),
            header(DeadLetterHeader.time, "\(self.time.microseconds)"),
            header(DeadLetterHeader.revision, self.revision),
        ]
    }
}

/// At most `bytes` of a text, cut between characters.
func clipped(_ text: String, to bytes: Int) -> String {
    guard text.utf8.count > bytes else { return text }
    var kept = ""
    var count = 0
    for scalar in text.unicodeScalars {
        count += UTF8.width(scalar)
        guard count <= bytes - 3 else { break }
        kept.unicodeScalars.append(scalar)
    }
    return kept + "…"
}

/// The bytes of a dead letter: key, attributes and data of the event as they were, then the reason as headers.
enum DeadLetterRecord {
    /// - Parameter block: nil when the record is gone; the dead letter then holds what is known.
    static func build(_ block: UnsafeRawBufferPointer?, reason: DeadLetterReason) -> [UInt8] {
        var headers: [UInt8] = []
        EventBlock.append(reason.headers(), to: &headers)
        guard let block else {
            return Self.assemble(nil, key: nil, attributes: headers, data: 0..<0, isNull: true)
        }
        guard let layout = try? EventLayout(parsing: block.bytes) else {
            // Bytes that are no block are kept as they are, as far as a record has room.
            let data = 0..<min(block.count, Limits.recordBytes - EventBlock.headBytes - headers.count)
            return Self.assemble(block, key: nil, attributes: headers, data: data, isNull: false)
        }
        // The number of omitted attributes takes one header more.
        let room = Limits.attributesBytes - headers.count - 64
        var kept: [UInt8] = []
        var omitted = 0
        let isWhole =
            (try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
                let isOld =
                    kind == Attribute.Kind.header.rawValue && block[name].starts(with: DeadLetterHeader.prefix.utf8)
                if isOld { return true }
                if kept.count + 4 + name.count + value.count <= room {
                    kept += block[name.lowerBound - 4..<value.upperBound]
                } else {
                    omitted += 1
                }
                return true
            }) != nil
        if omitted > 0 || !isWhole {
            EventBlock.append([Attribute(DeadLetterHeader.omitted, "\(max(omitted, 1))", kind: .header)], to: &headers)
        }
        return Self.assemble(
            block, key: layout.key, attributes: kept + headers, data: layout.data, isNull: layout.isNull)
    }

    private static func assemble(
        _ block: UnsafeRawBufferPointer?, key: Range<Int>?, attributes: [UInt8], data: Range<Int>, isNull: Bool
    ) -> [UInt8] {
        let size = EventBlock.headBytes + (key?.count ?? 0) + attributes.count + data.count
        return [UInt8](unsafeUninitializedCapacity: size) { target, count in
            var writer = BlockWriter(UnsafeMutableRawBufferPointer(target))
            writer.head(
                keyCount: key?.count, attributes: attributes.count, data: data.count, isNull: isNull,
                isSampled: block.map(EventBlock.isSampled) ?? false)
            if let block, let key { writer.append(block, key) }
            writer.append(attributes)
            if let block { writer.append(block, data) }
            count = writer.count
        }
    }
}
