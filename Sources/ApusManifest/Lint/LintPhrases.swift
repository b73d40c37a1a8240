/// Phrases that tell a model what to do, as words that follow each other with a few others between.
enum LintPhrases {
    /// Sets of words in order; at most so many other words between two.
    struct Phrase: Sendable {
        let sets: [Set<String>]
        let gap: Int

        init(_ gap: Int, _ sets: String...) {
            self.gap = gap
            self.sets = sets.map { Set($0.split(separator: " ").map(String.init)) }
        }
    }

    static func instruction(in words: LintWords) -> String? {
        for phrase in self.instructions { if let found = self.match(phrase, words.words) { return found } }
        return nil
    }

    /// Another tool, spoken of together with a word about when or instead of what to call it.
    static func otherTool(in words: LintWords, own: String?) -> String? {
        let own = own?.lowercased()
        for phrase in self.order { if let found = self.match(phrase, words.words) { return found } }
        for (index, word) in words.words.enumerated() where self.isToolName(word.text) && word.text != own {
            let near = words.words[max(0, index - 5)..<min(words.words.count, index + 6)]
                .filter { $0.sentence == word.sentence }.map(\.text)
            if near.contains(where: self.calls.contains), near.contains(where: self.times.contains) {
                return word.text
            }
        }
        return nil
    }

    private static let calls: Set<String> = [
        "call", "calls", "calling", "called", "invoke", "invoking", "invoked", "use", "using", "used", "run", "running",
    ]
    private static let times: Set<String> = [
        "always", "before", "after", "instead", "whenever", "when", "first", "never", "prior", "must", "every", "also",
    ]

    private static func isToolName(_ word: String) -> Bool {
        let parts = word.split(separator: "_")
        return parts.count > 1 && parts.allSatisfy { $0.first?.isLetter ?? false }
    }

    private static func match(_ phrase: Phrase, _ words: [LintWords.Word]) -> String? {
        for start in words.indices where phrase.sets[0].contains(words[start].text) {
            var at = start
            var isMatch = true
            for set in phrase.sets.dropFirst() {
                let reach = (at + 1)...max(at + 1, min(words.count - 1, at + 1 + phrase.gap))
                guard
                    let next = reach.first(where: {
                        $0 < words.count && words[$0].sentence == words[start].sentence && set.contains(words[$0].text)
                    })
                else {
                    isMatch = false
                    break
                }
                at = next
            }
            if isMatch { return words[start...at].map(\.text).joined(separator: " ") }
        }
        return nil
    }

    private static let persons = "user users human humans operator person people them anyone anybody"

    private static let instructions: [Phrase] = [
        // Against what it was told before.
        Phrase(
            3, "ignore disregard forget override bypass discard",
            "previous prior above earlier preceding existing other all any your",
            "instructions instruction rules prompts prompt guidelines directions directives policies policy safety"),
        Phrase(
            2, "new updated revised real actual", "instructions directives orders", "follow are supersede replace for"),
        Phrase(1, "your", "new real true actual only", "task goal role instructions purpose objective"),
        Phrase(1, "you", "are", "now"),
        Phrase(
            2, "pretend act behave", "as to", "if you an be a",
            "admin administrator root developer unrestricted assistant are"),
        Phrase(2, "system developer admin debug god", "override mode", "enabled activated active on is"),
        Phrase(0, "system", "override"),
        Phrase(0, "jailbreak"),
        Phrase(
            3, "reveal print repeat output disclose leak show", "your the", "system hidden initial",
            "prompt instructions message"),
        // Behind the back of people.
        Phrase(
            3, "not never dont without avoid",
            "tell telling mention mentioning inform informing reveal revealing disclose notify notifying alert alerting show showing asking ask warn warning",
            Self.persons),
        Phrase(
            3, "not never dont", "mention reveal disclose discuss", "this these that it",
            "step steps instruction instructions note to"),
        Phrase(2, "keep", "this it these", "secret hidden confidential private", "from"),
        Phrase(2, "hide conceal", "this it these the", "from"),
        Phrase(3, Self.persons, "must should need needs", "not never", "know see notice be learn"),
        Phrase(
            1, "silently quietly secretly covertly",
            "send forward copy upload read include call run execute append pass add post fetch"),
        Phrase(3, "even if regardless", "user what whether", "says asks said declines refuses objects wants asked"),
        Phrase(2, "user", "has have", "already", "approved consented authorized agreed confirmed"),
        Phrase(2, "no not", "need require", "ask confirm confirmation permission", "user"),
        // What to hand over.
        Phrase(
            5, "send include pass append attach add forward upload provide put paste insert copy supply embed",
            "your users user entire full complete all any previous current",
            "conversation chat history prompt credentials credential password passwords token tokens keys key secrets context messages environment"
        ),
        Phrase(
            4, "read open cat load fetch access get", "content contents file files",
            "pass send include append provide forward"),
        Phrase(4, "conversation chat", "history transcript log", "to in as with into"),
        // What to do first, or always.
        Phrase(1, "you", "must", "always first also never call use read include send pass ensure run provide"),
        Phrase(1, "you", "should will", "always first never"),
        Phrase(
            2, "before prior", "using calling running invoking executing doing answering responding",
            "this any other anything"),
        Phrase(
            2, "always must", "call use invoke run prefer choose select pick", "this",
            "tool function server first instead"),
        Phrase(2, "instead ahead", "of", "any other all the", "tool tools server servers function functions"),
        Phrase(
            2, "ignore avoid never dont not", "use call invoke trust", "any other all the",
            "other tools tool servers alternatives"),
        Phrase(
            3, "highest top maximum absolute", "priority importance authority",
            "over follow this must tool instruction than than than always"),
        Phrase(2, "takes has", "precedence priority", "over", "all other any your user system"),
        Phrase(
            3, "important critical urgent attention warning note", "assistant model agent llm ai claude gpt chatgpt"),
        Phrase(
            2, "assistant model agent llm ai", "must should shall needs has is",
            "always first also never not call use read include send execute required"),
        Phrase(2, "when whenever", "you", "see read receive use call", "this", "tool message description text"),
        Phrase(
            3, "execute run", "following this these", "command commands script code shell",
            "silently first before without on"),
        Phrase(
            2, "do follow obey", "exactly everything whatever all",
            "says say instructed told instructions output returns"),
        Phrase(
            3, "response answer reply replies output", "must should always", "include contain start end recommend link"),
    ]

    /// About the order of calls.
    private static let order: [Phrase] = [
        Phrase(3, "must should always", "be", "called invoked used run", "before first prior"),
        Phrase(2, "call use invoke run", "this", "tool function", "before first instead prior whenever every always"),
        Phrase(2, "before after", "any every each all", "other", "tool tools call calls"),
        Phrase(
            3, "other another", "tools tool", "must should are is",
            "deprecated broken unsafe insecure disabled wrong call"),
        Phrase(
            3, "when whenever", "tool tools", "called used invoked", "change replace set redirect modify also instead"),
        Phrase(
            3, "change replace redirect modify rewrite", "arguments argument recipient parameters address",
            "of for in to when", "tool tools other"),
    ]
}
