internal import ApusCore

/// Why a text is no pattern that can be used here.
struct PatternError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// A regular expression of ECMA-262 with the flag `u`, matched in time linear to the text.
///
/// It says only whether it is found somewhere, so groups capture nothing and greedy is as good as lazy. What no automaton
/// can do (backreferences, looking ahead and behind) is refused when it is compiled.
struct Pattern: Sendable {
    let text: String
    let program: PatternProgram

    /// Instructions looked at for each step that a check pays.
    static let workPerStep = 8

    /// - Throws: where the text is no pattern, or goes beyond a bound.
    init(_ text: String) throws(PatternError) {
        self.text = text
        var parser = PatternParser(text)
        let node = try parser.parse()
        self.program = try PatternProgram(node)
    }

    /// Whether it is found in a text of UTF-8.
    /// - Parameters:
    ///   - work: the instructions looked at, added up.
    ///   - workMax: where it gives up; `work` is beyond it then.
    func matches(_ text: UnsafeRawBufferPointer, work: inout Int, workMax: Int) -> Bool {
        PatternMatcher.run(self.program, text, work: &work, workMax: workMax)
    }
}

/// What a pattern's text says.
indirect enum PatternNode {
    case set(PatternSet)
    case sequence([PatternNode])
    case choice([PatternNode])
    case repeated(PatternNode, least: Int, most: Int?)
    case start
    case end
    /// Between a letter, digit or `_` and something else, or nowhere there.
    case wordEdge(Bool)
}
