"""The archive's formats: bytes in, tables out. No I/O, no clock.

layout      object keys
headers     record headers as one byte string
digest      the additive digest that proves log, segment and merge against each other
promoted    the clear fields of a value that get a column of their own
rows        records to an Arrow table and back
bloom       which sessions a segment may hold
footer      what a segment tells of itself, and where in it a session lies
segment     encode, decode and prove one Parquet object
lookup      the rows of one session from one range of bytes
manifest    what a partition's archive consists of, and how it may change
codec       manifests, HEAD and the bloom object as bytes
"""
