/// A property of Unicode that `\p{…}` names.
struct PatternProperty: Sendable {
    private enum Test {
        case categories(UInt32)
        case binary(@Sendable (Unicode.Scalar.Properties) -> Bool)
        case script([ClosedRange<UInt32>])
        case any
        case ascii
    }

    private let test: Test

    /// The property of that name: `L`, `gc=Letter`, `Alphabetic`, `Script=Greek`.
    init?(_ text: String) {
        if let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")) {
            let value = String(text[text.utf8.index(after: equals)...])
            switch text[..<equals] {
            case "General_Category", "gc":
                guard let mask = Self.categories[value] else { return nil }
                self.test = .categories(mask)
            case "Script", "sc", "Script_Extensions", "scx":
                guard let ranges = PatternScripts.ranges(of: value) else { return nil }
                self.test = .script(ranges)
            default: return nil
            }
        } else if let mask = Self.categories[text] {
            self.test = .categories(mask)
        } else if let binary = Self.binary[text] {
            self.test = .binary(binary)
        } else if text == "Any" {
            self.test = .any
        } else if text == "ASCII" {
            self.test = .ascii
        } else {
            return nil
        }
    }

    func holds(_ scalar: Unicode.Scalar) -> Bool {
        switch self.test {
        case .categories(let mask): mask & Self.bit(scalar.properties.generalCategory) != 0
        case .binary(let test): test(scalar.properties)
        case .script(let ranges): ranges.contains { $0.contains(scalar.value) }
        case .any: true
        case .ascii: scalar.isASCII
        }
    }

    private static func bit(_ category: Unicode.GeneralCategory) -> UInt32 {
        1 << UInt32(Self.order.firstIndex { $0.category == category } ?? 0)
    }

    private static let order: [(category: Unicode.GeneralCategory, short: String, long: String)] = [
        (.uppercaseLetter, "Lu", "Uppercase_Letter"), (.lowercaseLetter, "Ll", "Lowercase_Letter"),
        (.titlecaseLetter, "Lt", "Titlecase_Letter"), (.modifierLetter, "Lm", "Modifier_Letter"),
        (.otherLetter, "Lo", "Other_Letter"), (.nonspacingMark, "Mn", "Nonspacing_Mark"),
        (.spacingMark, "Mc", "Spacing_Mark"), (.enclosingMark, "Me", "Enclosing_Mark"),
        (.decimalNumber, "Nd", "Decimal_Number"), (.letterNumber, "Nl", "Letter_Number"),
        (.otherNumber, "No", "Other_Number"), (.connectorPunctuation, "Pc", "Connector_Punctuation"),
        (.dashPunctuation, "Pd", "Dash_Punctuation"), (.openPunctuation, "Ps", "Open_Punctuation"),
        (.closePunctuation, "Pe", "Close_Punctuation"), (.initialPunctuation, "Pi", "Initial_Punctuation"),
        (.finalPunctuation, "Pf", "Final_Punctuation"), (.otherPunctuation, "Po", "Other_Punctuation"),
        (.mathSymbol, "Sm", "Math_Symbol"), (.currencySymbol, "Sc", "Currency_Symbol"),
        (.modifierSymbol, "Sk", "Modifier_Symbol"), (.otherSymbol, "So", "Other_Symbol"),
        (.spaceSeparator, "Zs", "Space_Separator"), (.lineSeparator, "Zl", "Line_Separator"),
        (.paragraphSeparator, "Zp", "Paragraph_Separator"), (.control, "Cc", "Control"), (.format, "Cf", "Format"),
        (.surrogate, "Cs", "Surrogate"), (.privateUse, "Co", "Private_Use"), (.unassigned, "Cn", "Unassigned"),
    ]

    /// The bits of each category and group of categories, by all their names.
    private static let categories: [String: UInt32] = {
        var masks: [String: UInt32] = [:]
        for (index, entry) in Self.order.enumerated() {
            let bit: UInt32 = 1 << UInt32(index)
            masks[entry.short] = bit
            masks[entry.long] = bit
            masks[String(entry.short.prefix(1)), default: 0] |= bit
        }
        for (long, short) in [
            ("Letter", "L"), ("Mark", "M"), ("Combining_Mark", "M"), ("Number", "N"), ("Punctuation", "P"),
            ("punct", "P"), ("Symbol", "S"), ("Separator", "Z"), ("Other", "C"), ("cntrl", "Cc"), ("digit", "Nd"),
        ] {
            masks[long] = masks[short]
        }
        let cased = (masks["Lu"] ?? 0) | (masks["Ll"] ?? 0) | (masks["Lt"] ?? 0)
        masks["LC"] = cased
        masks["Cased_Letter"] = cased
        return masks
    }()

    private static let binary: [String: @Sendable (Unicode.Scalar.Properties) -> Bool] = [
        "Alphabetic": { $0.isAlphabetic }, "Alpha": { $0.isAlphabetic }, "Lowercase": { $0.isLowercase },
        "Lower": { $0.isLowercase }, "Uppercase": { $0.isUppercase }, "Upper": { $0.isUppercase },
        "White_Space": { $0.isWhitespace }, "space": { $0.isWhitespace },
        "Assigned": { $0.generalCategory != .unassigned }, "Cased": { $0.isCased },
        "Case_Ignorable": { $0.isCaseIgnorable },
        "CI": { $0.isCaseIgnorable }, "ASCII_Hex_Digit": { $0.isASCIIHexDigit }, "AHex": { $0.isASCIIHexDigit },
        "Hex_Digit": { $0.isHexDigit }, "Hex": { $0.isHexDigit }, "ID_Start": { $0.isIDStart }, "IDS": { $0.isIDStart },
        "ID_Continue": { $0.isIDContinue }, "IDC": { $0.isIDContinue }, "XID_Start": { $0.isXIDStart },
        "XIDS": { $0.isXIDStart }, "XID_Continue": { $0.isXIDContinue }, "XIDC": { $0.isXIDContinue },
        "Emoji": { $0.isEmoji }, "Emoji_Presentation": { $0.isEmojiPresentation }, "EPres": { $0.isEmojiPresentation },
        "Emoji_Modifier": { $0.isEmojiModifier }, "EMod": { $0.isEmojiModifier },
        "Emoji_Modifier_Base": { $0.isEmojiModifierBase }, "EBase": { $0.isEmojiModifierBase },
        "Dash": { $0.isDash }, "Ideographic": { $0.isIdeographic }, "Ideo": { $0.isIdeographic }, "Math": { $0.isMath },
        "Unified_Ideograph": { $0.isUnifiedIdeograph }, "UIdeo": { $0.isUnifiedIdeograph },
        "Diacritic": { $0.isDiacritic },
        "Dia": { $0.isDiacritic }, "Extender": { $0.isExtender }, "Ext": { $0.isExtender },
        "Quotation_Mark": { $0.isQuotationMark }, "QMark": { $0.isQuotationMark }, "Radical": { $0.isRadical },
        "Grapheme_Base": { $0.isGraphemeBase }, "Gr_Base": { $0.isGraphemeBase },
        "Grapheme_Extend": { $0.isGraphemeExtend }, "Gr_Ext": { $0.isGraphemeExtend },
        "Sentence_Terminal": { $0.isSentenceTerminal }, "STerm": { $0.isSentenceTerminal },
        "Variation_Selector": { $0.isVariationSelector }, "VS": { $0.isVariationSelector },
        "Join_Control": { $0.isJoinControl }, "Join_C": { $0.isJoinControl },
        "Pattern_White_Space": { $0.isPatternWhitespace }, "Pat_WS": { $0.isPatternWhitespace },
        "Noncharacter_Code_Point": { $0.isNoncharacterCodePoint }, "NChar": { $0.isNoncharacterCodePoint },
        "Default_Ignorable_Code_Point": { $0.isDefaultIgnorableCodePoint }, "DI": { $0.isDefaultIgnorableCodePoint },
        "Bidi_Control": { $0.isBidiControl }, "Bidi_C": { $0.isBidiControl }, "Bidi_Mirrored": { $0.isBidiMirrored },
        "Soft_Dotted": { $0.isSoftDotted }, "SD": { $0.isSoftDotted }, "Deprecated": { $0.isDeprecated },
        "Dep": { $0.isDeprecated },
    ]
}
