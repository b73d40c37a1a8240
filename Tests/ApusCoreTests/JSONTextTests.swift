import ApusCore
import Testing

@Suite struct JSONTextTests {
    private static func written(_ text: String) -> String {
        var bytes = Array("<".utf8)
        JSONText.append(text, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test(arguments: [
        ("", #"<"""#), ("plain é 日本 🙂", #"<"plain é 日本 🙂""#), ("\"", #"<"\"""#), ("\\", #"<"\\""#),
        ("\"at\" both \"ends\"", #"<"\"at\" both \"ends\"""#), ("\n\r\t", #"<"\n\r\t""#),
        ("\u{0}\u{1F}\u{7F}", #"<"\u0000\u001f\u007f""#), ("a\u{1B}[2Jé\"\\", #"<"a\u001b[2Jé\"\\""#),
        ("\u{80}\u{FFFF}", "<\"\u{80}\u{FFFF}\""),
    ])
    func whatNeedsAnEscapeGetsOneAndTheRestIsCopied(_ text: String, _ json: String) {
        #expect(Self.written(text) == json)
    }

    /// Every pair of bytes that begins or ends a copied run.
    @Test func runsBetweenEscapesAreWhole() {
        let parts = ["", "a", "é", "\"", "\\", "\n", "\u{7F}", "long enough for a string of its own on the heap"]
        for one in parts {
            for two in parts {
                for three in parts {
                    let text = one + two + three
                    let expected = text.unicodeScalars.map { scalar -> String in
                        switch scalar {
                        case "\"": "\\\""
                        case "\\": "\\\\"
                        case "\n": "\\n"
                        case "\u{7F}": "\\u007f"
                        default: String(scalar)
                        }
                    }
                    #expect(Self.written(text) == "<\"\(expected.joined())\"")
                }
            }
        }
    }
}
