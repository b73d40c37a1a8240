/// Amounts of memory for people.
enum ByteText {
    /// `0`, `512 B`, `1.5 GiB`, `80.0 GiB`.
    static func short(_ bytes: Int64) -> String {
        guard bytes >= 1_024 else { return bytes == 0 ? "0" : "\(bytes) B" }
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"]
        while value >= 1_024, unit < units.count - 1 {
            value /= 1_024
            unit += 1
        }
        let tenths = Int64((value * 10).rounded())
        return "\(tenths / 10).\(tenths % 10) \(units[unit])"
    }
}
