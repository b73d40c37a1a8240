internal import ApusCore
internal import ApusEngine
internal import ApusJSON
internal import ApusManifest
internal import ApusTools

/// From what a function returned to what its caller is told.
extension ToolCall {
    func answer(_ type: String?, _ data: [UInt8]?) {
        guard let data else { return self.tell(type, nil) }
        guard let masked = self.endpoint.mask(self.target.function).apply(type, data) else {
            return self.answer(Failure(.functionFailed, ResultMask.refusal))
        }
        self.tell(type, masked)
    }

    private func tell(_ type: String?, _ data: [UInt8]?) {
        switch self.target {
        case .tool(let tool): self.answer(tool, type, data)
        case .prompt(let prompt): self.answer(prompt, type, data)
        case .resource(_, let uri, let known, _): self.answer(uri, known, type, data)
        case .completion: self.answerCompletion(data)
        }
    }

    var meta: [UInt8] { Array(#""dev.apus/invocation":"\#(self.invocation)""#.utf8) + self.costMeta }

    // MARK: tools

    func answer(_ tool: Tool, _ type: String?, _ data: [UInt8]?) {
        let members = self.form(tool).members(type, data)
        self.keepInCache(members, of: tool)
        self.reply.finish(members, meta: self.meta)
    }

    func form(_ tool: Tool) -> ToolResultForm {
        let (endpoint, request, keptID) = (self.endpoint, self.request, self.keptID)
        return ToolResultForm(
            endpoint: endpoint, tool: tool, era: request.era, invocation: self.invocation,
            isForFunction: self.reply.isInner
        ) {
            self.isLinked = true
            // One that lasts is read where it lies.
            if let keptID { return KeptResult.address(of: keptID) }
            let now = endpoint.runtime.now
            return endpoint.registry.results.keep($0, type: $1, for: request.owner, until: now + tool.keepResult, now: now)
        }
    }

    /// - Parameter more: further members of `_meta`.
    func tellFailure(_ text: String, _ more: String = "") {
        self.reply.finish(Self.refusal(text), meta: self.meta + Array(more.utf8))
    }

    // MARK: prompts, resources, completions

    private func answer(_ prompt: Prompt, _ type: String?, _ data: [UInt8]?) {
        var members: [UInt8] = []
        if let description = prompt.description {
            members.append(contentsOf: #""description":"#.utf8)
            JSONText.append(description, to: &members)
            members.append(UInt8(ascii: ","))
        }
        members.append(contentsOf: #""messages":["#.utf8)
        do throws(ContentBlocks.Fault) {
            if type == ContentBlocks.mediaType {
                members.append(
                    contentsOf: JSONCleaner.clean(try ContentBlocks(parsing: data ?? [], areMessages: true).content))
            } else {
                let blocks = try ResultContent.blocks(
                    type: type, data: data, hasOutputSchema: false, name: self.invocation)
                if !blocks.content.isEmpty {
                    members.append(contentsOf: #"{"role":"user","content":"#.utf8)
                    members.append(contentsOf: blocks.content)
                    members.append(UInt8(ascii: "}"))
                }
            }
        } catch {
            return self.reply.fail(RPCError(.internalError, "the prompt's function returned no messages: \(error.why)"))
        }
        members.append(UInt8(ascii: "]"))
        self.reply.finish(members, meta: self.meta)
    }

    private func answer(_ uri: String, _ known: String?, _ type: String?, _ data: [UInt8]?) {
        guard let data else { return self.reply.fail(ToolEndpoint.resourceNotFound(uri, era: self.request.era)) }
        var members = Array(#""contents":["#.utf8)
        if type == ContentBlocks.mediaType {
            do throws(ContentBlocks.Fault) {
                members.append(contentsOf: JSONCleaner.clean(try ResourceContents.parse(data)))
            } catch {
                return self.reply.fail(RPCError(.internalError, "the resource's function returned none: \(error.why)"))
            }
        } else {
            var data = data
            // A text that a function returns is the text, not its JSON.
            if type == "application/json", known != "application/json" {
                let text = data.withUnsafeBytes { bytes in
                    (try? JSONSlices.document(bytes)).flatMap { JSONSlices.text(of: $0, in: bytes) }
                }
                if let text {
                    data = Array(text.utf8)
                    members.append(
                        contentsOf: ResultContent.resource(uri: uri, type: known ?? "text/plain", data: data))
                } else {
                    members.append(contentsOf: ResultContent.resource(uri: uri, type: known ?? type, data: data))
                }
            } else {
                members.append(contentsOf: ResultContent.resource(uri: uri, type: known ?? type, data: data))
            }
        }
        members.append(UInt8(ascii: "]"))
        self.reply.finish(members, cache: self.endpoint.keep(self.request.place, isPublic: false), meta: self.meta)
    }

    private func answerCompletion(_ data: [UInt8]?) {
        var values: [String] = []
        let isList = (data ?? []).withUnsafeBytes { text -> Bool in
            guard let list = try? JSONSlices.document(text), list.kind == .array else { return false }
            JSONSlices.forEachElement(of: list, in: text) {
                if let value = JSONSlices.text(of: $0, in: text) { values.append(value) }
            }
            return true
        }
        guard isList else {
            return self.reply.fail(RPCError(.internalError, "the function returned no list of values"))
        }
        self.reply.finish(ToolEndpoint.completion(values), meta: self.meta)
    }

    // MARK: failures

    /// What goes wrong in a tool is a result: the model reads it and may do something about it.
    func answer(_ failure: Failure) {
        if let remote = self.target.remote { return self.answerUpstream(remote, failure) }
        var annotations: ToolManifest.Annotations?
        if case .tool(let tool) = self.target { annotations = tool.annotations }
        let text = ToolResultForm.text(of: failure, annotations)
        guard case .tool = self.target else {
            let isGone = failure.code == .functionRejected
            return self.reply.fail(RPCError(isGone ? .invalidParams : .internalError, text))
        }
        self.tellFailure(text)
    }
}
