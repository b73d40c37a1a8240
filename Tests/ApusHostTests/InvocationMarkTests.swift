import ApusCore
import ApusEngine
import ApusJSON
import Testing

@testable import ApusHost

/// What the ledger holds of open invocations beside their positions.
@Suite struct InvocationMarkTests {
    @Test(arguments: [
        InvocationMark.cancel(0), .asked(7), .answer(12, question: "name"), .answer(1, question: "a/b"),
    ]) func aMarkIsReadAsItWasWritten(_ mark: InvocationMark) {
        let prefix = Array("default/f/apus.invoke/3/".utf8)
        #expect(InvocationMark(key: mark.key(prefix: prefix), prefix: prefix) == mark)
        #expect(InvocationMark(key: mark.key(prefix: prefix), prefix: Array("other/".utf8)) == nil)
        #expect(mark.moved(to: 99).offset == 99)
    }

    @Test(arguments: ["0", "opened", "cancel/", "cancel/x", "cancel/1/2", "asked/-1", "answer/1", "other/1"])
    func whatIsNoMarkIsNone(_ text: String) {
        let prefix = Array("p/".utf8)
        #expect(InvocationMark(key: prefix + Array(text.utf8), prefix: prefix) == nil)
    }

    @Test func whatWasAskedComesBackFromItsMarks() {
        let asked = Array(#"{"a":{"method":"roots/list","params":{}},"b":{"method":"roots/list","params":{}}}"#.utf8)
        var questions = InvocationQuestions()
        questions.ask(JSONMember.all(in: asked), until: Timestamp(milliseconds: 5))
        #expect(questions.openJSON == asked && questions.isOpen)
        var restored = InvocationQuestions()
        restored.restore(answer: .init(name: "a", json: Array("{}".utf8)))
        restored.restore(mark: questions.mark)
        #expect(restored.until == Timestamp(milliseconds: 5) && restored.rounds == 1)
        #expect(restored.open.map(\.name) == ["b"])
        restored.take([.init(name: "c", json: Array("{}".utf8)), .init(name: "b", json: Array("[1]".utf8))])
        #expect(!restored.isOpen)
        #expect(String(decoding: restored.answersJSON, as: UTF8.self) == #"{"a":{},"b":[1]}"#)
    }
}
