/// How many entries of a ``Ledger`` are in each state.
struct StateCounts {
    private var counts = InlineArray<8, Int32>(repeating: 0)

    subscript(state: Ledger.State) -> Int32 {
        get { self.counts[Int(state.rawValue)] }
        set { self.counts[Int(state.rawValue)] = newValue }
    }
}
