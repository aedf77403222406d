"""Results in the formats of other tools: one module per format, each opening with the format's specification.

They are given `Rows`, whose secrets are replaced already, and give text or fill a database. Only HAR, whose headers are
in no table, and the pcapng, whose packets are not either, need the trace itself, or the captures.
"""
