"""The only door: authenticates, authorises, appends, and answers with the version that it shows."""
