/// What a client takes, and how gladly (RFC 9110, section 12.5.1).
public struct AcceptHeader: Sendable, Equatable {
    public static let rangesMax = 32

    struct Range: Sendable, Equatable {
        let type: String
        let subtype: String
        /// Thousandths.
        let quality: Int

        /// How precisely this names the type; nil when it does not.
        func precision(for type: String, _ subtype: String) -> Int? {
            if self.type == type, self.subtype == subtype { return 2 }
            if self.type == type, self.subtype == "*" { return 1 }
            return self.type == "*" && self.subtype == "*" ? 0 : nil
        }
    }

    let ranges: [Range]

    /// - Parameter text: nil and what cannot be read take everything, as if the header were not there.
    public init(_ text: String?) {
        self.ranges = text.flatMap(AcceptHeader.parse) ?? [Range(type: "*", subtype: "*", quality: 1_000)]
    }

    /// The one of `offers` that is taken most gladly, the first of equals; nil when none is.
    /// - Parameter offers: as `type/subtype`, what is preferred here first.
    public func best(of offers: [String]) -> String? {
        var best: (offer: String, quality: Int)?
        for offer in offers {
            let quality = self.quality(of: offer)
            if quality > best?.quality ?? 0 { best = (offer, quality) }
        }
        return best?.offer
    }

    /// In thousandths; 0 is refused.
    func quality(of offer: String) -> Int {
        guard let media = MediaType(parsing: offer) else { return 0 }
        var best: (precision: Int, quality: Int) = (-1, 0)
        for range in self.ranges {
            guard let precision = range.precision(for: media.type, media.subtype), precision > best.precision else {
                continue
            }
            best = (precision, range.quality)
        }
        return best.quality
    }

    private static func parse(_ text: String) -> [Range]? {
        var ranges: [Range] = []
        var scanner = FieldScanner(text)
        repeat {
            scanner.skipSpace()
            if scanner.isAtEnd { break }
            guard ranges.count < Self.rangesMax, let type = scanner.token(), scanner.take("/"),
                let subtype = scanner.token(),
                let parameters = scanner.parameters(max: MediaType.parametersMax)
            else { return nil }
            let weight = parameters.first { $0.name == "q" }?.value
            guard let quality = weight.map(Self.thousandths) ?? 1_000 else { return nil }
            ranges.append(Range(type: type.lowercased(), subtype: subtype.lowercased(), quality: quality))
        } while scanner.take(",")
        return scanner.isAtEnd && !ranges.isEmpty ? ranges : nil
    }

    /// `0.8` as 800; nil for what is no weight.
    private static func thousandths(_ text: String) -> Int? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = Int(parts[0]), (0...1).contains(whole), parts[0].utf8.count == 1 else {
            return nil
        }
        let fraction = parts.count == 2 ? parts[1] : ""
        guard fraction.utf8.count <= 3, fraction.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let padded = Int(fraction + String(repeating: "0", count: 3 - fraction.utf8.count)) ?? 0
        let quality = whole * 1_000 + padded
        return quality <= 1_000 ? quality : nil
    }
}
