/// Reads Prometheus' text format as strictly as its specification is written, and says what is wrong.
struct ExpositionLint {
    private(set) var types: [String: String] = [:]
    private(set) var helps: Set<String> = []
    /// Each sample's name with its labels, in their order, and its value.
    private(set) var samples: [String: Double] = [:]
    private(set) var problems: [String] = []
    private var finished: Set<String> = []
    private var current = ""

    init(_ text: String) {
        if !text.hasSuffix("\n") { self.problems.append("the last line has no end") }
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() { self.read(line) }
        self.checkHistograms()
    }

    private mutating func read(_ line: Substring) {
        if line.hasPrefix("# HELP ") || line.hasPrefix("# TYPE ") {
            let words = line.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
            guard words.count == 4, !words[3].isEmpty else { return self.problems.append("no text: \(line)") }
            if words[1] == "HELP" {
                if !self.helps.insert(words[2]).inserted { self.problems.append("two HELP lines: \(words[2])") }
            } else {
                if self.types.updateValue(words[3], forKey: words[2]) != nil {
                    self.problems.append("two TYPE lines: \(words[2])")
                }
                if !["counter", "gauge", "histogram"].contains(words[3]) { self.problems.append("type: \(line)") }
                self.finished.insert(self.current)
                self.current = words[2]
            }
            return
        }
        self.sample(line)
    }

    private mutating func sample(_ line: Substring) {
        guard let space = line.lastIndex(of: " "), let value = Self.number(line[line.index(after: space)...]) else {
            return self.problems.append("no value: \(line)")
        }
        let series = String(line[..<space])
        let name = String(series.prefix { $0 != "{" })
        if self.samples.updateValue(value, forKey: series) != nil { self.problems.append("twice: \(series)") }
        guard Self.isName(name) else { return self.problems.append("name: \(name)") }
        let family = self.family(of: name)
        guard let type = self.types[family], self.helps.contains(family) else {
            return self.problems.append("without HELP and TYPE before it: \(series)")
        }
        if family != self.current { self.problems.append("not in one piece: \(family)") }
        if type == "counter", !family.hasSuffix("_total") {
            self.problems.append("a counter ends in _total: \(family)")
        }
        if type == "counter" || type == "histogram", value < 0 || value.isNaN {
            self.problems.append("below 0: \(line)")
        }
        if series.contains("{") { self.labels(series) }
    }

    private func family(of name: String) -> String {
        for suffix in ["_bucket", "_sum", "_count"] where name.hasSuffix(suffix) {
            let base = String(name.dropLast(suffix.count))
            if self.types[base] == "histogram" { return base }
        }
        return name
    }

    private mutating func labels(_ series: String) {
        guard series.hasSuffix("}"), let open = series.firstIndex(of: "{") else {
            return self.problems.append("braces: \(series)")
        }
        var rest = series[series.index(after: open)...].dropLast()
        var names: Set<String> = []
        while !rest.isEmpty {
            guard let equals = rest.firstIndex(of: "=") else { return self.problems.append("label: \(series)") }
            let name = String(rest[..<equals])
            rest = rest[rest.index(after: equals)...]
            guard Self.isName(name), !name.contains(":"), !name.hasPrefix("__"), names.insert(name).inserted,
                rest.popFirst() == "\""
            else { return self.problems.append("label \(name): \(series)") }
            var isClosed = false
            while let character = rest.popFirst() {
                if character == "\"" {
                    isClosed = true
                    break
                }
                guard character == "\\" else { continue }
                guard let escaped = rest.popFirst(), "\\\"n".contains(escaped) else {
                    return self.problems.append("escape: \(series)")
                }
            }
            guard isClosed else { return self.problems.append("an open quote: \(series)") }
            if let comma = rest.popFirst(), comma != "," { return self.problems.append("no comma: \(series)") }
        }
    }

    /// Buckets ascend, the last is `+Inf` and equals the count.
    private mutating func checkHistograms() {
        for (family, type) in self.types where type == "histogram" {
            var groups: [String: [(Double, Double)]] = [:]
            for (series, value) in self.samples where series.hasPrefix("\(family)_bucket{") {
                guard let le = series.range(of: "le=\""), let end = series[le.upperBound...].firstIndex(of: "\""),
                    let bound = Self.number(series[le.upperBound..<end])
                else {
                    self.problems.append("a bucket without le: \(series)")
                    continue
                }
                var others = series
                others.removeSubrange(le.lowerBound...end)
                others = others.replacing("\(family)_bucket", with: "").replacing(",}", with: "}")
                groups[others == "{}" ? "" : others, default: []].append((bound, value))
            }
            for (labels, buckets) in groups {
                let sorted = buckets.sorted { $0.0 < $1.0 }
                let counts = sorted.map(\.1)
                if counts != counts.sorted() { self.problems.append("buckets fall: \(family)\(labels)") }
                if sorted.last?.0 != .infinity { self.problems.append("no +Inf: \(family)\(labels)") }
                if self.samples["\(family)_count\(labels)"] != counts.last
                    || self.samples["\(family)_sum\(labels)"] == nil
                {
                    self.problems.append("sum or count: \(family)\(labels)")
                }
            }
        }
    }

    private static func number(_ text: Substring) -> Double? {
        switch text {
        case "+Inf": .infinity
        case "-Inf": -.infinity
        case "NaN": .nan
        default: text.allSatisfy { "0123456789.e+-".contains($0) } ? Double(text) : nil
        }
    }

    private static func isName(_ name: String) -> Bool {
        guard let first = name.first, !first.isNumber else { return false }
        return name.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
                || $0 == 0x3A
        }
    }
}

extension String {
    fileprivate func range(of text: String) -> Range<String.Index>? { self.firstRange(of: text) }
}
