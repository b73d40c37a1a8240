extension DocumentChecker {
    /// The runtime http makes one request for each call: it needs a host to send it to.
    mutating func checkHTTPOperation(_ spec: Checked) {
        let network = spec["sandbox"]?["network"]
        guard network?["allow"]?.list.isEmpty ?? true else { return }
        self.checker.fail(
            network?.location ?? spec["runtime"]?.location,
            "`spec.sandbox.network.allow` lists no host, expected that of the operation: the runtime http sends a request to it"
        )
    }
}
