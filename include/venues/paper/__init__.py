"""Trading on paper: a real feed, an account of our own in the same matching core that the sandbox exchange uses.

`account` speaks the venue's words to the matching core, `journal` keeps what was asked of it so that a restart finds it
as it was, `steps` makes bar times of bars, `venue` is the port and `pacer` its lockstep.
"""
