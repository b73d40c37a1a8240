internal import ApusCore

/// Names for what is imported: of tools, functions, arguments and secrets, each used once.
struct ImportedNames {
    private var taken: Set<String> = []

    /// The name, or with a number where it is taken.
    mutating func unique(_ name: String, separator: String, most: Int) -> String {
        var candidate = String(name.prefix(most))
        var number = 2
        while !self.taken.insert(candidate).inserted {
            let end = "\(separator)\(number)"
            candidate = String(name.prefix(most - end.count)) + end
            number += 1
        }
        return candidate
    }

    /// `getPetByID` as `get-pet-by-id`: a label of 1 to 63.
    static func label(_ text: String) -> String {
        var label = ""
        var before: Unicode.Scalar?
        for scalar in text.unicodeScalars {
            let isWord = scalar.isASCII && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil)
            if isWord {
                let startsWord = scalar.properties.isUppercase && before?.properties.isLowercase == true
                if startsWord { label += "-" }
                label += scalar.properties.lowercaseMapping
            } else if !label.isEmpty && !label.hasSuffix("-") {
                label += "-"
            }
            before = scalar
        }
        label = String(label.prefix(Limits.labelBytes))
        while label.hasSuffix("-") { label.removeLast() }
        return label.isEmpty ? "api" : label
    }

    /// Letters, digits, `_` and `-` alone, which every vendor's model takes.
    static func plain(_ text: String) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            let isAllowed =
                scalar.isASCII
                && (scalar.properties.isAlphabetic || scalar.properties.numericType != nil || scalar == "_"
                    || scalar == "-")
            if isAllowed {
                plain.unicodeScalars.append(scalar)
            } else if !plain.hasSuffix("_") {
                plain += "_"
            }
        }
        while plain.hasPrefix("_") { plain.removeFirst() }
        while plain.hasSuffix("_") { plain.removeLast() }
        return plain.isEmpty ? "value" : plain
    }

    /// `PETSTORE_API_KEY`.
    static func secret(_ api: String, _ scheme: String) -> String {
        let words = (self.label(api) + "-" + self.label(scheme)).uppercased()
        let name = words.replacing("-", with: "_")
        return name.first?.isNumber == true ? "API_" + name : name
    }
}
