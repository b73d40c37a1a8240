public import ApusCore

/// A trigger's filter: every attribute it names has exactly that value.
///
/// It is evaluated on the event's bytes where they lie, and allocates nothing. `specversion` is not stored with events:
/// it equals `1.0` always.
public struct SubscriptionFilter: Sendable, Equatable {
    private struct Condition: Sendable, Equatable {
        var name: Range<Int>
        var value: Range<Int>
    }

    /// Names and values of all conditions, one after the other.
    private var text: [UInt8] = []
    private var conditions: [Condition] = []
    /// A condition that no event meets: another `specversion`.
    private var isImpossible = false

    /// No conditions: every event matches.
    public init() {}

    /// - Returns: nil when there are more conditions than ``Limits/Engine/filterConditions``.
    public init?(_ attributes: [(name: String, value: String)]) {
        guard attributes.count <= Limits.Engine.filterConditions else { return nil }
        for attribute in attributes {
            if attribute.name == "specversion" {
                if attribute.value != "1.0" { self.isImpossible = true }
                continue
            }
            let start = self.text.count
            self.text.append(contentsOf: attribute.name.utf8)
            let middle = self.text.count
            self.text.append(contentsOf: attribute.value.utf8)
            self.conditions.append(Condition(name: start..<middle, value: middle..<self.text.count))
        }
    }

    public var isEmpty: Bool { self.conditions.isEmpty && !self.isImpossible }

    /// Whether the event matches. The first attribute of a name counts; headers are no attributes.
    /// - Throws: when the attributes are malformed.
    public func matches(_ layout: EventLayout, in bytes: RawSpan) throws(FrameError) -> Bool {
        if self.isImpossible { return false }
        guard !self.conditions.isEmpty else { return true }
        // A bit for each condition that is met; `Limits.Engine.filterConditions` is the number of bits.
        var met: UInt64 = 0
        var isRefuted = false
        let all = UInt64.max >> UInt64(64 - self.conditions.count)
        try layout.forEachAttribute(in: bytes) { name, kind, value in
            guard kind != Attribute.Kind.header.rawValue else { return true }
            for (index, condition) in self.conditions.enumerated() {
                let bit = UInt64(1) << UInt64(index)
                guard met & bit == 0, self.equals(condition.name, bytes, name) else { continue }
                guard self.equals(condition.value, bytes, value) else {
                    isRefuted = true
                    return false
                }
                met |= bit
            }
            return met != all
        }
        return !isRefuted && met == all
    }

    private func equals(_ own: Range<Int>, _ bytes: RawSpan, _ range: Range<Int>) -> Bool {
        guard own.count == range.count else { return false }
        for index in 0..<own.count
        where self.text[own.lowerBound + index] != bytes.littleEndian(at: range.lowerBound + index, as: UInt8.self) {
            return false
        }
        return true
    }
}
