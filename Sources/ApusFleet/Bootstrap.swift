internal import ApusEngine

/// How sure a figure is: the days of a run are drawn anew, many times, and the figure is made of each draw.
enum Bootstrap {
    /// - Returns: the bounds that 95 of 100 draws stay within; nil for fewer than three days.
    static func interval(
        _ days: [FleetReport.Day], draws: Int = 400, seed: UInt64 = 1, _ figure: ([FleetReport.Day]) -> Double
    ) -> ClosedRange<Double>? {
        guard days.count >= 3 else { return nil }
        var generator = SeededGenerator(seed: seed)
        var values: [Double] = []
        for _ in 0..<draws {
            let drawn = days.map { _ in days[Int.random(in: days.indices, using: &generator)] }
            values.append(figure(drawn))
        }
        values.sort()
        return values[draws / 40]...values[draws - 1 - draws / 40]
    }
}
