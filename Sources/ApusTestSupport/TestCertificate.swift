/// A certificate for `localhost` and 127.0.0.1 that signed itself, good until 2120. Its key is no secret: for tests only.
public enum TestCertificate {
    public static let chain = """
        -----BEGIN CERTIFICATE-----
        MIIBZjCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlhcHVzIHRl
        c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
        CWFwdXMgdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABP19mQczYM/HYNTy
        rrr9GiKJRJOOeSShgvd555qPQxQDJCCgGUxOiCUzQRxuTSr365z5hlC35y0XxtZL
        XnTjIuSjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
        BTADAQH/MB0GA1UdDgQWBBSDWCyRrbXXCcUuYUPuzySGLASn6DAKBggqhkjOPQQD
        AgNHADBEAiBf4glErJLysgf5vEpbHwJk4DQX28U7BSdY5zF0r8XrOwIgTKn5rP1w
        VSQzqEsHzm3E9ZSUR57Mt25dTZZ/NTD8cyg=
        -----END CERTIFICATE-----

        """

    public static let key = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdr6+jLvb0cTcFJN+
        UwwVqzqMNGuSfkatN7uyl2bXX5ehRANCAAT9fZkHM2DPx2DU8q66/RoiiUSTjnkk
        oYL3eeeaj0MUAyQgoBlMToglM0Ecbk0q9+uc+YZQt+ctF8bWS1504yLk
        -----END PRIVATE KEY-----

        """

    /// Of no certificate.
    public static let otherKey = """
        -----BEGIN PRIVATE KEY-----
        MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg1r4t9VnXfM6568fW
        6xuIfhqXA6teDV1CaUdsIw9rPxuhRANCAASdZmJw+VIQ1y4visysEYs/Nc0LNaUY
        BRP4fgW09S0inqAJZv4mbKbRk6x1fOIEK61s0FznAh0KCoEs109KAbo5
        -----END PRIVATE KEY-----

        """
}
