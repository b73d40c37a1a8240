internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusTools

/// Values that are offered while somebody fills in the argument of a prompt or the variable of a template.
extension ToolEndpoint {
    func complete(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let envelope = request.envelope
        let all = envelope.parameters.all
        let reference = envelope.member("ref", of: all)
        let argument = envelope.member("argument", of: all)
        guard let type = envelope.text(envelope.member("type", of: reference)),
            let name = envelope.text(envelope.member("name", of: argument)),
            let value = envelope.text(envelope.member("value", of: argument))
        else { throw .invalidParams("`ref` and `argument` with `name` and `value` are needed") }
        let catalog = self.catalog(request.place.namespace)
        let (function, completion, subject): (ResourceName, PromptManifest.Completion?, String)
        var remote: Tool.Remote?
        switch type {
        case "ref/prompt":
            let wanted = envelope.text(envelope.member("name", of: reference)) ?? ""
            guard let prompt = catalog.prompt(named: wanted, on: request.place.server, for: request.caller) else {
                throw .invalidParams("Unknown prompt: \(wanted.prefix(128))")
            }
            (function, completion, subject) = (prompt.function, prompt.completion, wanted)
            remote = prompt.remote
        case "ref/resource":
            let uri = envelope.text(envelope.member("uri", of: reference)) ?? ""
            if let template = catalog.template(uri, on: request.place.server, for: request.caller) {
                (function, completion, subject) = (template.function, template.completion, uri)
                remote = template.remote
            } else if case .resource(let resource) = catalog.resource(
                at: uri, on: request.place.server, for: request.caller)
            {
                (function, completion, subject) = (resource.function, nil, uri)
            } else {
                throw Self.resourceNotFound(uri, era: request.era)
            }
        default: throw .invalidParams("`ref.type` must be ref/prompt or ref/resource")
        }
        switch completion {
        case nil: reply.finish(Self.completion([]))
        case .values(let values):
            reply.finish(Self.completion((values[name] ?? []).filter { $0.utf8.starts(with: value.utf8) }))
        case .function:
            try ToolCall.beginCompletion(self, request, reply, function, subject: subject, remote: remote)
        }
    }

    /// At most so many of the values, and how many there are.
    static func completion(_ values: [String]) -> [UInt8] {
        let shown = values.prefix(Limits.ToolEndpoint.completions)
        var json = Array(#""completion":{"values":["#.utf8)
        for (index, value) in shown.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            JSONText.append(value, to: &json)
        }
        json.append(contentsOf: #"],"total":\#(values.count),"hasMore":\#(values.count > shown.count)}"#.utf8)
        return JSONCleaner.clean(json)
    }
}
