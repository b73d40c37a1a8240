import ApusCore
import ApusTelemetry
import Testing

@Suite struct MetricsTests {
    static let counter = MetricDescription(
        "apus_deliveries_total", "Deliveries that settled.", .counter, labels: ["function"])
    static let gauge = MetricDescription("apus_workers", "Workers that run.", .gauge)
    static let histogram = MetricDescription(
        "apus_wait_seconds", "How long a delivery waited.", .histogram(bounds: [0.1, 1]), labels: ["f"])

    private static func text(_ metrics: Metrics) -> String {
        String(decoding: PrometheusText.write(metrics), as: UTF8.self)
    }

    @Test func `what is counted is written, sorted, with help and type`() {
        var metrics = Metrics()
        let one = metrics.series(Self.counter, ["one"])
        let two = metrics.series(Self.counter, ["two"])
        let workers = metrics.series(Self.gauge)
        metrics.add(two, 3)
        metrics.add(one)
        metrics.set(workers, 2.5)
        metrics.add(workers, -1)
        #expect(metrics.series(Self.counter, ["one"]) == one)
        #expect(metrics.value(two) == 3)
        #expect(
            Self.text(metrics) == """
                # HELP apus_deliveries_total Deliveries that settled.
                # TYPE apus_deliveries_total counter
                apus_deliveries_total{function="one"} 1
                apus_deliveries_total{function="two"} 3
                # HELP apus_workers Workers that run.
                # TYPE apus_workers gauge
                apus_workers 1.5

                """
        )
    }

    @Test func `a histogram counts each bound and everything below it`() {
        var metrics = Metrics()
        let series = metrics.series(Self.histogram, ["x"])
        for value in [0.05, 0.1, 0.5, 1.0, 7.0] { metrics.observe(series, value) }
        let lines = Self.text(metrics).split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                #"apus_wait_seconds_bucket{f="x",le="0.1"} 2"#, #"apus_wait_seconds_bucket{f="x",le="1"} 4"#,
                #"apus_wait_seconds_bucket{f="x",le="+Inf"} 5"#, #"apus_wait_seconds_sum{f="x"} 8.65"#,
                #"apus_wait_seconds_count{f="x"} 5"#,
            ])
    }

    @Test func `copies of several shards add up, whatever order their series came in`() throws {
        var first = Metrics()
        first.add(first.series(Self.counter, ["a"]), 1)
        first.observe(first.series(Self.histogram, ["a"]), 0.5)
        var second = Metrics()
        second.observe(second.series(Self.histogram, ["a"]), 5)
        second.add(second.series(Self.counter, ["b"]), 2)
        second.add(second.series(Self.counter, ["a"]), 4)
        second.set(second.series(Self.gauge), 1)
        let snapshot = first
        first.merge(second)
        let samples = try PrometheusReader.read(Self.text(first))
        #expect(samples["apus_deliveries_total|function=a"] == 5)
        #expect(samples["apus_deliveries_total|function=b"] == 2)
        #expect(samples["apus_wait_seconds_count|f=a"] == 2)
        #expect(samples["apus_wait_seconds_bucket|f=a|le=1"] == 1)
        #expect(samples["apus_workers"] == 1)
        #expect(try PrometheusReader.read(Self.text(snapshot))["apus_deliveries_total|function=a"] == 1)
    }

    @Test func `what labels hold comes back from a strict reader`() throws {
        let values = ["", "plain", "a\"b", "a\\b", "a\nb", "a\\nb", "\u{1}\t\r", "caf\u{E9}", "{}=,#", "a\r\nb"]
        var metrics = Metrics()
        for (index, value) in values.enumerated() { metrics.add(metrics.series(Self.counter, [value]), Double(index)) }
        let samples = try PrometheusReader.read(Self.text(metrics))
        for (index, value) in values.enumerated() {
            #expect(samples["apus_deliveries_total|function=\(value)"] == Double(index))
        }
        #expect(samples.count == values.count)
    }

    @Test func `numbers are written as the format knows them`() throws {
        for (value, text) in [
            (0.0, "0"), (-0.5, "-0.5"), (1e-7, "1e-07"), (1e300, "1e+300"), (.infinity, "+Inf"), (-.infinity, "-Inf"),
            (.nan, "NaN"),
            (9_007_199_254_740_991, "9007199254740991"),
        ] {
            var metrics = Metrics()
            metrics.set(metrics.series(Self.gauge), value)
            #expect(Self.text(metrics).hasSuffix("\napus_workers \(text)\n"))
            _ = try PrometheusReader.read(Self.text(metrics))
        }
    }

    @Test func `series have a bound and what comes above it is counted together`() throws {
        var metrics = Metrics()
        for number in 0..<Limits.Telemetry.seriesPerMetric + 5 {
            metrics.add(metrics.series(Self.counter, ["f\(number)"]))
        }
        var samples = try PrometheusReader.read(Self.text(metrics))
        #expect(samples.count == Limits.Telemetry.seriesPerMetric + 1)
        #expect(samples["apus_deliveries_total|function=other"] == 5)
        #expect(samples["apus_deliveries_total|function=f\(Limits.Telemetry.seriesPerMetric - 1)"] == 1)
        var other = Metrics()
        for number in 0..<10 { other.add(other.series(Self.counter, ["g\(number)"])) }
        metrics.merge(other)
        samples = try PrometheusReader.read(Self.text(metrics))
        #expect(samples["apus_deliveries_total|function=other"] == 15)
    }

    @Test func `a long label is cut at a character`() throws {
        var metrics = Metrics()
        metrics.add(metrics.series(Self.counter, [String(repeating: "\u{20AC}", count: Limits.Telemetry.labelBytes)]))
        let kept = String(repeating: "\u{20AC}", count: Limits.Telemetry.labelBytes / 3)
        #expect(try PrometheusReader.read(Self.text(metrics))["apus_deliveries_total|function=\(kept)"] == 1)
    }
}

/// A strict reader of text format 0.0.4: what it does not know is an error.
enum PrometheusReader {
    struct Malformed: Error {
        let line: String
    }

    /// - Returns: values by name and sorted labels, `name|label=value`.
    static func read(_ text: String) throws -> [String: Double] {
        guard text.isEmpty || text.unicodeScalars.last == "\n" else { throw Malformed(line: "no line feed at the end") }
        var samples: [String: Double] = [:]
        var types: Set<String> = []
        for line in text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map({
            String($0)
        }) {
            if line.hasPrefix("# TYPE ") {
                let words = line.split(separator: " ")
                guard words.count == 4, ["counter", "gauge", "histogram"].contains(words[3]) else {
                    throw Malformed(line: line)
                }
                guard types.insert(String(words[2])).inserted else { throw Malformed(line: line) }
            } else if line.hasPrefix("# HELP ") {
                guard line.split(separator: " ").count >= 4 else { throw Malformed(line: line) }
            } else {
                let (key, value) = try Self.sample(line)
                guard samples.updateValue(value, forKey: key) == nil else { throw Malformed(line: "twice: \(line)") }
                guard types.contains(where: { key.hasPrefix($0) }) else { throw Malformed(line: "no type: \(line)") }
            }
        }
        return samples
    }

    private static func sample(_ line: String) throws -> (String, Double) {
        var rest = Substring(line).unicodeScalars
        func isNameScalar(_ scalar: Unicode.Scalar) -> Bool {
            scalar == "_" || (scalar.isASCII && scalar.properties.isAlphabetic) || ("0"..."9").contains(scalar)
        }
        func name() throws -> String {
            let name = String(rest.prefix(while: isNameScalar))
            guard let first = name.unicodeScalars.first, !("0"..."9").contains(first) else {
                throw Malformed(line: line)
            }
            rest = rest.dropFirst(name.unicodeScalars.count)
            return name
        }
        func take(_ scalar: Unicode.Scalar) -> Bool {
            guard rest.first == scalar else { return false }
            rest = rest.dropFirst()
            return true
        }
        var key = try name()
        var labels: [String] = []
        if take("{") {
            repeat {
                let label = try name()
                guard take("="), take("\"") else { throw Malformed(line: line) }
                var value = String.UnicodeScalarView()
                while !take("\"") {
                    guard let scalar = rest.popFirst() else { throw Malformed(line: line) }
                    guard scalar == "\\" else {
                        value.append(scalar)
                        continue
                    }
                    switch rest.popFirst() {
                    case "\\": value.append("\\")
                    case "n": value.append("\n")
                    case "\"": value.append("\"")
                    default: throw Malformed(line: line)
                    }
                }
                labels.append("\(label)=\(String(value))")
            } while take(",")
            guard take("}") else { throw Malformed(line: line) }
        }
        guard take(" ") else { throw Malformed(line: line) }
        let number = String(rest)
        let named = ["+Inf": Double.infinity, "-Inf": -Double.infinity, "NaN": Double.nan][number]
        guard !number.isEmpty, let value = named ?? Double(number) else { throw Malformed(line: line) }
        for label in labels.sorted() { key += "|" + label }
        return (key, value)
    }
}
