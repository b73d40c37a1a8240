internal import ApusCore
internal import CShims

/// What the allocator keeps of memory that was freed. glibc raises its own bounds with each large block that is freed, and giving back
/// by hand (``HeapRest``) does not reach the end of a thread's arena: tables that grew during a deployment would leave their size there.
public enum HeapBounds {
    /// Sets them. Once, before the process has other threads.
    public static func set() {
        let status = apus_bound_kept_memory(Limits.Heap.mappedBytes, Limits.Heap.keptBytes)
        precondition(status == 0, "the allocator takes both bounds")
    }
}
