internal import ApusCore

/// Carries requests to a server and waits for their answers. Used by one thread.
protocol Transport: AnyObject {
    /// Sends a request and waits for the whole answer, whatever its status.
    /// - Throws: `server_unreachable`, `deadline_exceeded`, `result_too_large`.
    func send(_ request: APIRequest) throws(ApusError) -> APIResponse
    /// Sends a request and hands on the body of a success as it comes; that of an error is in the response.
    /// - Parameter onHead: gets status and headers before any of the body, of errors too; the body is empty there.
    /// - Parameter onChunk: false leaves, which is then no error.
    func stream(
        _ request: APIRequest, onHead: @escaping (APIResponse) -> Void, onChunk: @escaping ([UInt8]) -> Bool
    ) throws(ApusError) -> APIResponse
}
