"""Every format that crosses a process or outlives one: events, HTTP bodies, identifiers, limits, errors."""
