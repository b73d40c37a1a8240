public import ApusCore

/// A folder's names, and removing one with all in it: for those who prepare data directories.
public enum FolderContents {
    public static func names(_ folder: String) throws(ApusError) -> [String] { try FileTree.names(in: folder) }

    /// Harmless when it is not there. Links are removed, not followed.
    public static func remove(_ path: String) throws(ApusError) { try FileTree.remove(path) }
}
