internal import ApusCore
internal import ApusJSON

/// What a call of a ``MetaTool`` comes to.
public enum MetaAnswer: Sendable, Equatable {
    /// JSON, for `structuredContent`, and as text.
    case result([UInt8])
    /// What is wrong with the arguments, for the model.
    case refused(String)
    /// Goes on as a call of this tool, with the rights, checks and limits of one that was made directly.
    case call(name: String, arguments: [UInt8])
}

/// One call of a ``MetaTool``: what it finds and describes is what the caller may call itself, nothing else.
public struct MetaCall {
    private let catalog: ToolCatalog
    private let server: String?
    private let caller: ToolCaller

    /// - Parameter server: nil for all of the namespace.
    public init(_ catalog: ToolCatalog, on server: String?, for caller: ToolCaller) {
        self.catalog = catalog
        self.server = server
        self.caller = caller
    }

    /// The question that a call of `find_tools` asks, for an embedder.
    public static func question(_ arguments: [UInt8]) -> String? {
        do throws(ApusError) { return try JSONValue.parse(arguments)["query"]?.string } catch { return nil }
    }

    /// - Parameters:
    ///   - arguments: those of the call, an object.
    ///   - meaning: see ``ToolCatalog/find(_:limit:labels:on:for:meaning:)``.
    public func answer(
        _ tool: MetaTool, _ arguments: [UInt8], meaning: (question: [Float], tools: ToolVectors)? = nil
    ) -> MetaAnswer {
        let value: JSONValue
        do throws(ApusError) { value = try JSONValue.parse(arguments) } catch {
            return .refused("The arguments are no JSON that can be read: \(error.message)")
        }
        guard let object = value.object else { return .refused("The arguments must be an object.") }
        switch tool {
        case .find: return self.find(object, meaning)
        case .describe: return self.describe(object)
        case .call: return self.call(object, arguments)
        }
    }

    private func find(
        _ arguments: JSONObject, _ meaning: (question: [Float], tools: ToolVectors)?
    ) -> MetaAnswer {
        if let refusal = Self.unknown(arguments, besides: ["query", "limit", "labels"]) { return refusal }
        guard let query = arguments["query"]?.string, (1...Limits.Tools.questionBytes).contains(query.utf8.count) else {
            return .refused("/query must be a text of 1 to \(Limits.Tools.questionBytes) bytes: what is to be done.")
        }
        let limit = arguments["limit"] ?? .integer(Int64(Limits.Tools.foundStandard))
        guard let limit = limit.int, (1...Limits.Tools.foundTools).contains(limit) else {
            return .refused("/limit must be a whole number from 1 to \(Limits.Tools.foundTools).")
        }
        var labels: [String: String] = [:]
        if let given = arguments["labels"] {
            guard let object = given.object else { return .refused("/labels must be an object of texts.") }
            for label in object {
                guard let text = label.value.string else { return .refused("/labels/\(label.name) must be a text.") }
                labels[label.name] = text
            }
        }
        let found = self.catalog.find(
            query, limit: limit, labels: labels, on: self.server, for: self.caller, meaning: meaning)
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("tools")
        writer.beginArray()
        for tool in found.tools {
            writer.beginObject()
            writer.member("name", tool.name.text)
            if let title = tool.title { writer.member("title", title) }
            if let description = tool.description { writer.member("description", Self.shortened(description)) }
            writer.endObject()
        }
        writer.endArray()
        writer.member("ranking", found.ranking.rawValue)
        writer.endObject()
        return .result(writer.bytes)
    }

    private func describe(_ arguments: JSONObject) -> MetaAnswer {
        if let refusal = Self.unknown(arguments, besides: ["names"]) { return refusal }
        guard let names = arguments["names"]?.array, (1...Limits.Tools.describedTools).contains(names.count) else {
            return .refused("/names must be a list of 1 to \(Limits.Tools.describedTools) names.")
        }
        var unknown: [String] = []
        var writer = JSONWriter()
        writer.beginObject()
        writer.key("tools")
        writer.beginArray()
        for (index, name) in names.enumerated() {
            guard let name = name.string else { return .refused("/names/\(index) must be a text.") }
            if let item = self.catalog.item(named: name, on: self.server, for: self.caller) {
                writer.raw(item)
            } else {
                unknown.append(name)
            }
        }
        writer.endArray()
        writer.key("unknown")
        writer.beginArray()
        for name in unknown { writer.string(name) }
        writer.endArray()
        writer.endObject()
        return .result(writer.bytes)
    }

    /// The inner arguments go on byte for byte.
    private func call(_ arguments: JSONObject, _ text: [UInt8]) -> MetaAnswer {
        if let refusal = Self.unknown(arguments, besides: ["name", "arguments"]) { return refusal }
        guard let name = arguments["name"]?.string else { return .refused("/name must be a text: the tool to call.") }
        guard arguments["arguments"] == nil || arguments["arguments"]?.object != nil else {
            return .refused("/arguments must be an object.")
        }
        guard MetaTool(rawValue: name) == nil else { return .refused("/name must be a tool that find_tools names.") }
        let inner = text.withUnsafeBytes { bytes -> [UInt8]? in
            do throws(JSONSyntaxError) {
                let member = try JSONChecker.members(of: bytes).first { $0.name == "arguments" }
                return member.map { Array(bytes[$0.value]) } ?? Array("{}".utf8)
            } catch { return nil }
        }
        guard let inner else { return .refused("/arguments cannot be read.") }
        return .call(name: name, arguments: inner)
    }

    private static func unknown(_ arguments: JSONObject, besides known: [String]) -> MetaAnswer? {
        guard let name = arguments.names.first(where: { !known.contains($0) }) else { return nil }
        return .refused("/\(name) is no argument; expected \(known.joined(separator: ", ")).")
    }

    /// The first words of a description: the whole is what `describe_tool` is for.
    private static func shortened(_ text: String) -> String {
        guard text.count > Limits.Tools.foundDescription else { return text }
        return text.prefix(Limits.Tools.foundDescription - 1) + "…"
    }
}
