/// Names beside points, none on another: above to the right where there is room, else below, else to the left.
struct PlotLabels {
    private struct Box {
        var left: Double
        var right: Double
        var bottom: Double

        func touches(_ other: Box) -> Bool {
            self.left < other.right && other.left < self.right && abs(self.bottom - other.bottom) < PlotLabels.height
        }
    }

    /// Of a letter, as wide ones are, and of a line.
    private static let letter = 8.0
    private static let height = 14.0
    private var taken: [Box] = []

    mutating func place(_ name: String, at x: Double, _ y: Double) -> (x: Double, y: Double, anchor: String) {
        let width = Double(name.count) * Self.letter
        var places: [(x: Double, y: Double, anchor: String)] = []
        for step in 0..<4 {
            let down = Double(step) * Self.height
            places += [(x + 8, y - 8 - down, "start"), (x + 8, y + 18 + down, "start"), (x - 8, y - 8 - down, "end")]
        }
        func box(_ place: (x: Double, y: Double, anchor: String)) -> Box {
            let left = place.anchor == "start" ? place.x : place.x - width
            return Box(left: left, right: left + width, bottom: place.y)
        }
        let chosen = places.first { place in !self.taken.contains { $0.touches(box(place)) } } ?? places[0]
        self.taken.append(box(chosen))
        return chosen
    }
}
