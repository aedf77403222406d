"""A second opinion: Wireshark's dissectors over the same capture, and every difference by name.

`dissect` is a program of its own that runs tshark through pyshark; `ask` starts it and reads what it sees; `messages`
puts a trace into the same terms; `compare` finds the differences, and `known` names those that are no fault.
"""
