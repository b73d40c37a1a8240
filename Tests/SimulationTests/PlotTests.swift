import Testing

@testable import ApusFleet

@Suite struct PlotTests {
    /// Points that lie side by side keep names that can be read.
    @Test func noNameLiesOnAnother() {
        var labels = PlotLabels()
        var placed: [(x: Double, y: Double, anchor: String)] = []
        for _ in 0..<6 { placed.append(labels.place("RentOrBuy", at: 100, 200)) }
        for (index, one) in placed.enumerated() {
            for other in placed[..<index] {
                #expect(one.anchor != other.anchor || abs(one.y - other.y) >= 14, "\(one) and \(other)")
            }
        }
        #expect(placed[0] == (108, 192, "start"), "alone it stands above to the right")
    }

    @Test(arguments: [0.3, 0.9, 1, 2.5, 9.6, 22.4, 99, 100, 4_769.4, 123_456]) func ticksAreRoundAndFew(_ most: Double) {
        let ticks = ComparisonPlot.ticks(upTo: most)
        #expect(ComparisonPlot.ticks(upTo: 0.04).isEmpty)
        #expect((2...9).contains(ticks.count) && ticks.allSatisfy { $0 > 0 && $0 <= most * 1.000001 }, "\(ticks)")
    }
}
