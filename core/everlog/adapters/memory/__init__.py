"""Every port in memory: the reference of the contract suites, and what unit tests run on."""
