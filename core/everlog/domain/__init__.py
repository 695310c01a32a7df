"""The law of the log, pure: what an event means, whether it is accepted, and the state that follows.

No I/O, no clock, no chance, no logging. ``decide`` reads only the standing and the event, so every reader of
the log, today and in ten years, reaches the same verdict. (Source: "meld" of Hyder: Bernstein, Reid, Das,
CIDR 2011.)
"""
