internal import ApusCrypto
public import ApusCore
public import ApusJSON
public import ApusManifest

/// What is known of an upstream's tools, prompts and resources, and what of them may be offered: the state that `apus.control` keeps.
///
/// What was accepted stays what it was. A tool that says something else one day waits, and is neither listed nor callable, until somebody has
/// looked at the difference.
public struct UpstreamTools: Sendable, Equatable {
    public struct Entry: Sendable, Equatable {
        /// What was accepted, by who deployed or by `apus tools accept`.
        public var accepted: UpstreamDefinition?
        /// What the upstream says now, and nobody has accepted.
        public var waiting: UpstreamDefinition?
        /// Why it waits, or can never be offered.
        public var reason: String?
        /// The upstream lists it no more.
        public var isGone = false
        /// `apus tools disable`.
        public var isDisabled = false

        /// What agents see of it.
        public var offered: UpstreamDefinition? {
            self.waiting == nil && self.reason == nil && !self.isGone && !self.isDisabled ? self.accepted : nil
        }

        public var state: String {
            if self.isGone { return "gone" }
            if self.waiting != nil { return "quarantined" }
            if self.reason != nil { return "refused" }
            return self.isDisabled ? "disabled" : "offered"
        }
    }

    public enum Switch: Sendable, Equatable {
        /// What was shown: a tool that has changed since is not accepted unseen.
        case accept(digest: String)
        case disable
        case enable
    }

    /// By the upstream's own names; see ``UpstreamDefinition/key``.
    public private(set) var entries: [String: Entry] = [:]

    public init() {}

    public static func digest(_ definition: UpstreamDefinition) -> String {
        Hex.encode(SHA256.hash(definition.canonical))
    }

    /// Takes lists of the upstream, whole. What is said twice counts once.
    /// - Parameter kinds: what was listed; nothing is known anew of others.
    public mutating func take(
        _ list: [UpstreamDefinition], of kinds: Set<UpstreamDefinition.Kind> = Set(UpstreamDefinition.Kind.allCases),
        pins: [String: String]?
    ) {
        var seen: Set<String> = []
        for definition in list where kinds.contains(definition.kind) && seen.insert(definition.key).inserted {
            let known = self.entries[definition.key]
            if known == nil, self.entries.count >= Limits.Control.upstreamTools { continue }
            self.entries[definition.key] = Self.entry(definition, known ?? Entry(), isNew: known == nil, pins)
        }
        for name in Array(self.entries.keys)
        where !seen.contains(name) && kinds.contains(UpstreamDefinition.kind(of: name)) {
            // Of what was never accepted nothing needs to be remembered.
            if self.entries[name]?.accepted == nil, self.entries[name]?.isDisabled != true {
                self.entries[name] = nil
            } else {
                self.entries[name]?.isGone = true
                self.entries[name]?.waiting = nil
                self.entries[name]?.reason = nil
            }
        }
    }

    private static func entry(
        _ definition: UpstreamDefinition, _ known: Entry, isNew: Bool, _ pins: [String: String]?
    ) -> Entry {
        var entry = known
        entry.isGone = false
        entry.waiting = nil
        entry.reason = definition.fault
        guard entry.reason == nil else { return entry }
        let digest = Self.digest(definition)
        if let pins {
            if pins[definition.key] == digest {
                entry.accepted = definition
            } else if entry.accepted != definition || pins[definition.key] != nil {
                entry.waiting = definition
                entry.reason = pins[definition.key] == nil ? "it is not among `pins`" : "it is not what `pins` says"
            }
        } else if entry.accepted == definition {
            return entry
        } else if entry.accepted != nil {
            entry.waiting = definition
            entry.reason = "it is not what was accepted"
        } else if let finding = definition.finding {
            entry.waiting = definition
            entry.reason = finding
        } else if isNew {
            entry.accepted = definition
        } else {
            entry.waiting = definition
            entry.reason = "it changed before anybody accepted it"
        }
        return entry
    }

    /// - Throws: `not_found`, or `conflict` where there is nothing to accept, or something else than was shown.
    public mutating func apply(_ change: Switch, to name: String) throws(ApusError) {
        guard var entry = self.entries[name] else {
            throw ApusError(.notFound, "the upstream lists no '\(name)': see `apus get upstreams`")
        }
        switch change {
        case .disable: entry.isDisabled = true
        case .enable: entry.isDisabled = false
        case .accept(let digest):
            guard let waiting = entry.waiting else {
                throw ApusError(.conflict, "there is nothing to accept of the tool '\(name)': it is \(entry.state)")
            }
            guard Self.digest(waiting) == digest.lowercased() else {
                throw ApusError(
                    .conflict, "the tool '\(name)' is not what was shown any more: look at the difference again")
            }
            entry.accepted = waiting
            entry.waiting = nil
            entry.reason = nil
        }
        self.entries[name] = entry
    }

    // MARK: the record

    public var json: JSONValue {
        .object(
            JSONObject(
                self.entries.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }.map { name, entry in
                    var value: JSONValue = [:]
                    if let accepted = entry.accepted { value["accepted"] = Self.value(accepted) }
                    if let waiting = entry.waiting { value["waiting"] = Self.value(waiting) }
                    if let reason = entry.reason { value["reason"] = .string(reason) }
                    if entry.isGone { value["gone"] = true }
                    if entry.isDisabled { value["disabled"] = true }
                    return (name, value)
                }))
    }

    private static func value(_ definition: UpstreamDefinition) -> JSONValue {
        .string(String(decoding: definition.canonical, as: UTF8.self))
    }

    /// - Returns: nil for what is no such record.
    public init?(_ json: JSONValue) {
        guard let object = json.object, object.count <= Limits.Control.upstreamTools else { return nil }
        for member in object {
            var entry = Entry()
            for (name, path) in [("accepted", \Entry.accepted), ("waiting", \Entry.waiting)] {
                guard let text = member.value[name] else { continue }
                guard let text = text.string, let value = try? JSONValue.parse(text),
                    let definition = UpstreamDefinition(value, kind: UpstreamDefinition.kind(of: member.name)),
                    definition.key == member.name
                else { return nil }
                entry[keyPath: path] = definition
            }
            entry.reason = member.value["reason"]?.string
            entry.isGone = member.value["gone"]?.boolean ?? false
            entry.isDisabled = member.value["disabled"]?.boolean ?? false
            self.entries[member.name] = entry
        }
    }
}
