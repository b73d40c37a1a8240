/// When memory that was freed is given back to the system: a moment after the last change of what is deployed. A deployment takes several
/// times what it leaves, and the allocator keeps that for the next one. Pure.
struct HeapRest {
    private var changes: Int64?
    private var isDue = true

    /// Looks, about once a second, at how often what is deployed was changed.
    /// - Returns: whether memory is to be given back.
    mutating func look(changes: Int64) -> Bool {
        guard changes == self.changes else {
            self.changes = changes
            self.isDue = true
            return false
        }
        defer { self.isDue = false }
        return self.isDue
    }
}
