internal import Glibc

/// What one benchmark found, printed as a table or as one JSON object.
struct BenchReport {
    let name: String
    var figures: [Figure]

    init(_ name: String, _ figures: [Figure]) {
        self.name = name
        self.figures = figures
    }

    var json: String {
        let machine = Machine.current
        let figures = self.figures.map(\.json).joined(separator: ",")
        return #"{"name":\#(quoted(self.name)),"machine":{"cpu":\#(quoted(machine.cpu)),"cores":\#(machine.cores),"#
            + #""kernel":\#(quoted(machine.kernel))},"figures":[\#(figures)]}"#
    }

    var table: String {
        let machine = Machine.current
        var rows = [["figure", "unit", "median", "min", "max", "runs", "floor", "ratio"]]
        rows += self.figures.map(\.row)
        let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        let lines = rows.map { row in
            row.indices.map { column in
                let padding = String(repeating: " ", count: widths[column] - row[column].count)
                return column < 2 ? row[column] + padding : padding + row[column]
            }.joined(separator: "  ")
        }
        return (["\(self.name): \(machine.cpu), \(machine.cores) cores, Linux \(machine.kernel)"] + lines).joined(
            separator: "\n")
    }
}

/// One figure: what was measured in each round, and its floor in the same rounds.
struct Figure {
    let name: String
    let unit: String
    var samples: [Double] = []
    /// Empty for a figure without a floor.
    var floors: [Double] = []
    /// What its median may be at most; nil has no bound.
    var bound: Double?

    init(_ name: String, unit: String, samples: [Double] = [], floors: [Double] = [], bound: Double? = nil) {
        self.bound = bound
        self.name = name
        self.unit = unit
        self.samples = samples
        self.floors = floors
    }

    mutating func add(_ sample: Double, floor: Double? = nil) {
        self.samples.append(sample)
        if let floor { self.floors.append(floor) }
    }

    /// - Returns: what is above its bound, in words.
    var excess: String? {
        guard let bound = self.bound, !(median(self.samples) <= bound) else { return nil }
        return "\(self.name) is \(shortened(median(self.samples))), and at most \(shortened(bound)) is promised"
    }

    /// Median over floor: the result, since it holds on other machines too.
    var ratio: Double? {
        guard !self.floors.isEmpty, median(self.floors) > 0 else { return nil }
        return median(self.samples) / median(self.floors)
    }

    fileprivate var row: [String] {
        [
            self.name, self.unit, shortened(median(self.samples)), shortened(self.samples.min() ?? 0),
            shortened(self.samples.max() ?? 0),
            "\(self.samples.count)", self.floors.isEmpty ? "-" : shortened(median(self.floors)),
            self.ratio.map { "\(rounded($0, 2))x" } ?? "-",
        ]
    }

    fileprivate var json: String {
        let floor = self.floors.isEmpty ? "null" : "\(median(self.floors))"
        return #"{"name":\#(quoted(self.name)),"unit":\#(quoted(self.unit)),"median":\#(median(self.samples)),"#
            + #""min":\#(self.samples.min() ?? 0),"max":\#(self.samples.max() ?? 0),"runs":\#(self.samples.count),"#
            + #""floor":\#(floor),"ratio":\#(self.ratio.map { "\($0)" } ?? "null")}"#
    }
}

/// The middle one, or the mean of the two in the middle; 0 of none.
func median(_ samples: [Double]) -> Double {
    guard !samples.isEmpty else { return 0 }
    let sorted = samples.sorted()
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/// The value below which `percent` of the samples lie.
func percentile(_ percent: Double, of samples: [Double]) -> Double {
    guard !samples.isEmpty else { return 0 }
    let sorted = samples.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * percent / 100))]
}

/// Seconds on the monotonic clock.
func seconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

private func rounded(_ value: Double, _ digits: Int) -> String {
    var scale = 1.0
    for _ in 0..<digits { scale *= 10 }
    return "\((value * scale).rounded() / scale)"
}

private func shortened(_ value: Double) -> String { value >= 1_000 ? "\(Int(value.rounded()))" : rounded(value, 2) }

private func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\"", "\\": result += "\\\(scalar)"
        case _ where scalar.value < 32: result += " "
        default: result.unicodeScalars.append(scalar)
        }
    }
    return result + "\""
}

/// Where a benchmark ran.
struct Machine {
    var cpu: String
    var cores: Int
    var kernel: String

    static var current: Machine {
        var name = utsname()
        uname(&name)
        let kernel = withUnsafeBytes(of: name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return Machine(cpu: Machine.cpuName, cores: sysconf(CInt(_SC_NPROCESSORS_ONLN)), kernel: kernel)
    }

    private static var cpuName: String {
        guard let file = fopen("/proc/cpuinfo", "r") else { return "unknown" }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 512)
        while fgets(&line, CInt(line.count), file) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.hasPrefix("model name"), let colon = text.firstIndex(of: ":") else { continue }
            return String(text[text.index(after: colon)...].drop { $0 == " " }.prefix { $0 != "\n" })
        }
        return "unknown"
    }
}
