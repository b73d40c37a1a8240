public import ApusCore

/// A trigger's filter, evaluated on the event's bytes where they lie.
///
/// What all its events must have exactly is looked for first, in one walk of the attributes that allocates nothing; the rest of the filter is a
/// program that runs only then. `specversion` is not stored with events: it equals `1.0` always.
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
    /// What attributes with exact values do not say.
    private var program: FilterProgram?

    /// No conditions: every event matches.
    public init() {}

    /// Every attribute named has exactly that value.
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

    /// - Returns: nil when the filter is beyond the bounds of ``Limits/Filter``.
    public init?(_ filter: EventFilter) {
        guard FilterSize(filter).isWithinBounds else { return nil }
        var exact: [(name: String, value: String)] = []
        var rest: [EventFilter] = []
        Self.divide(filter, &exact, &rest)
        self.init(exact)
        if !rest.isEmpty { self.program = FilterProgram(rest.count == 1 ? rest[0] : .all(rest)) }
    }

    /// Takes apart what must hold all at once.
    private static func divide(
        _ filter: EventFilter, _ exact: inout [(name: String, value: String)], _ rest: inout [EventFilter]
    ) {
        switch filter {
        case .all(let parts): for part in parts { self.divide(part, &exact, &rest) }
        case .exact(let conditions):
            for condition in conditions {
                if case .attribute(let name) = condition.reference, name != "key",
                    exact.count < Limits.Engine.filterConditions
                {
                    exact.append((name, condition.text))
                } else {
                    rest.append(.exact([condition]))
                }
            }
        default: if !filter.isEmpty { rest.append(filter) }
        }
    }

    public var isEmpty: Bool { self.conditions.isEmpty && !self.isImpossible && self.program == nil }

    /// Whether the event passes, and what went wrong in its expressions.
    /// - Parameter data: finds values in data that is JSON; without it no event has any.
    /// - Throws: when the attributes are malformed.
    public func evaluate(
        _ layout: EventLayout, in bytes: RawSpan, data: FilterDataReader? = nil
    ) throws(FrameError) -> FilterOutcome {
        guard try self.hasAttributes(layout, in: bytes) else { return FilterOutcome(isMatch: false) }
        guard let program = self.program else { return FilterOutcome(isMatch: true) }
        return try bytes.withUnsafeBytes { event throws(FrameError) in try program.evaluate(layout, event, data) }
    }

    /// Whether the event passes.
    /// - Throws: when the attributes are malformed.
    public func matches(_ layout: EventLayout, in bytes: RawSpan) throws(FrameError) -> Bool {
        try self.evaluate(layout, in: bytes).isMatch
    }

    /// Whether the event has all attributes that must be exact. The first of a name counts; headers are no attributes.
    private func hasAttributes(_ layout: EventLayout, in bytes: RawSpan) throws(FrameError) -> Bool {
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
