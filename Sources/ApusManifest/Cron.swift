/// The five fields of a cron line: minute, hour, day of month, month, day of week.
enum Cron {
    private static let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
    private static let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

    static func isValid(_ text: String) -> Bool {
        let fields = text.split(separator: " ")
        guard fields.count == 5, text.utf8.count <= 256 else { return false }
        let ranges: [(ClosedRange<Int>, [String])] = [
            (0...59, []), (0...23, []), (1...31, []), (1...12, self.months), (0...7, self.days),
        ]
        return zip(fields, ranges).allSatisfy { self.isValid($0, $1.0, $1.1) }
    }

    private static func isValid(_ field: Substring, _ range: ClosedRange<Int>, _ names: [String]) -> Bool {
        field.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { item in
            let parts = item.split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count <= 2 else { return false }
            if parts.count == 2 {
                guard let step = self.number(parts[1]), step >= 1, step <= range.upperBound else { return false }
            }
            if parts[0] == "*" { return true }
            let ends = parts[0].split(separator: "-", omittingEmptySubsequences: false).map { end in
                names.firstIndex(of: end.lowercased()).map { $0 + range.lowerBound } ?? self.number(end)
            }
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1] else {
                return false
            }
            return range.contains(first) && range.contains(last) && first <= last
        }
    }

    private static func number(_ text: Substring) -> Int? {
        guard (1...2).contains(text.utf8.count),
            text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else {
            return nil
        }
        return Int(text)
    }
}
